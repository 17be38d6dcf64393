"""Layout `system` on two of the real libraries: packages as Fedora and EPEL make them, for everybody's Python.

zlmdb, whose compiler takes minutes, is left out of this copy of the release.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import REPOSITORY, STANDIN, TOOLS, Run, ask, elpack, in_root, rpms
from tests.rpmtools import rpmlint
from tests.warm import link_trees

from elpack.builders import Repository
from elpack.builders.roots import Roots
from elpack.errors import PlanError
from elpack.steps.base import base, choose_target
from elpack.steps.exchange import link_or_copy
from elpack.steps.project import read_project
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import RpmHeader, read_headers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.integration]

SYSTEM = ("--layout", "system")
PACKAGES = 'packages = ["txaio", "autobahn", "zlmdb", "cfxdb", "xbr"]'
SMOKE = """
[[system.smoke.step]]
name = "import"
run = ["{python}", "-c", "import txaio, autobahn, _nvx_utf8validator; print('txaio', txaio.__version__)"]
expect = ['^txaio {version:txaio}$']
"""
METAPACKAGES = ("autobahn+encryption", "autobahn+scram", "autobahn+serialization", "autobahn+twisted", "txaio+twisted")
SITE = "/usr/lib64/python3.11/site-packages"


@pytest.fixture(scope="module")
def project(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the release for txaio and autobahn, with what was fetched before but nothing built."""
    needs(*TOOLS)
    folder = tmp_path_factory.mktemp("system")
    release = (REPOSITORY / "elpack.toml").read_text()
    assert PACKAGES in release
    (folder / "elpack.toml").write_text(release.replace(PACKAGES, 'packages = ["txaio", "autobahn"]') + SMOKE)
    shutil.copy2(REPOSITORY / "pylock.build.toml", folder)
    shutil.copytree(REPOSITORY / "specs", folder / "specs")
    link_trees(REPOSITORY / ".elpack", folder / ".elpack", ("downloads", "facts", "standin"))
    return folder


@pytest.fixture(scope="module")
def output(project: Path) -> Path:
    return project / "dist" / "el9-standin" / "x86_64" / "system"


@pytest.fixture(scope="module")
def rpm_all(project: Path, output: Path) -> Run:
    """Run the main job: it installs, imports, and fails where removal leaves a trace."""
    done = elpack("rpm-all", *STANDIN, *SYSTEM, project=project)
    assert done.returncode == 0, done.stderr[-6000:]
    return Run(done.stdout + done.stderr, json.loads((output / "manifest.json").read_text()))


@pytest.fixture(scope="module")
def headers(rpm_all: Run, output: Path) -> dict[str, RpmHeader]:
    return {header.name: header for header in read_headers(rpms(output / "repo"))}


def test_rpmlint_finds_nothing(rpm_all: Run, output: Path) -> None:
    assert rpm_all.artefacts("rpm")
    assert rpmlint(*rpms(output / "repo"), *sorted((output / "specs").glob("*.spec"))) == []


def test_it_was_installed_tried_and_removed(rpm_all: Run, output: Path) -> None:
    (step,) = json.loads((output / "logs" / "smoke" / "report.json").read_text())
    assert (step["name"], step["status"]) == ("import", "ok")
    removed = (output / "logs" / "dnf-remove.log").read_text()
    assert "python3.11-txaio" in removed
    assert "python3.11-twisted" in removed


def test_packages_have_the_names_of_fedora_and_epel(rpm_all: Run, headers: dict[str, RpmHeader]) -> None:
    assert {name for name in headers if not name.startswith("python3.11-")} == set()
    assert {name.removeprefix("python3.11-") for name in headers if "+" in name} == set(METAPACKAGES)
    assert {"python3.11-txaio", "python3.11-autobahn", "python3.11-twisted"} <= headers.keys()
    assert not {"python3.11-zlmdb", "python3.11-crossbar", "crossbar"} & headers.keys()
    assert "python3.11-txaio-26.6.1-1.el9s.src.rpm" in {entry["name"] for entry in rpm_all.artefacts("srpm")}


def test_the_target_s_generators_say_what_is_provided(headers: dict[str, RpmHeader]) -> None:
    assert set(headers["python3.11-txaio"].provides) == {
        "python3.11-txaio = 26.6.1-1.el9s",
        "python3.11dist(txaio) = 26.6.1",
    }
    assert "python3.11dist(autobahn) = 26.10.2" in headers["python3.11-autobahn"].provides
    for name in METAPACKAGES:
        dist, _, extra = name.partition("+")
        offered = headers[f"python3.11-{name}"].provides
        assert [one for one in offered if one.startswith(f"python3.11dist({dist}[{extra}]) = ")] != []
        assert headers[f"python3.11-{name}"].files == ()
    for header in headers.values():
        assert "python(abi) = 3.11" in header.requires


def test_requirements_are_those_of_the_metadata(headers: dict[str, RpmHeader]) -> None:
    autobahn = [one for one in headers["python3.11-autobahn"].requires if "dist(" in one]
    assert autobahn == [
        "python3.11dist(cbor2) >= 6.1",
        "python3.11dist(cffi) >= 2",
        "python3.11dist(cryptography) >= 50",
        "python3.11dist(hyperlink) >= 21",
        "python3.11dist(msgpack) >= 1.0.2",
        "python3.11dist(txaio) >= 25.12.2",
        "python3.11dist(ujson) >= 4.0.2",
    ]
    assert "libc.so.6(GLIBC_2.2.5)(64bit)" in headers["python3.11-autobahn"].requires
    assert {
        "python3.11-txaio = 26.6.1-1.el9s",
        "python3.11dist(twisted) >= 22.10",
        "python3.11dist(zope-interface) >= 5.2",
    } <= set(headers["python3.11-txaio+twisted"].requires)


def test_files_are_where_the_interpreter_looks_and_commands_leave_the_plain_name_alone(
    headers: dict[str, RpmHeader],
) -> None:
    files = headers["python3.11-autobahn"].files
    assert "/usr/bin/wamp-3.11" in files
    assert "/usr/bin/wamp" not in files
    assert f"{SITE}/_nvx_utf8validator.cpython-311-x86_64-linux-gnu.so" in files
    assert f"{SITE}/autobahn/__pycache__/__init__.cpython-311.opt-1.pyc" in files
    assert "/usr/lib/python3.11/site-packages/txaio/__init__.py" in headers["python3.11-txaio"].files
    assert not [file for file in files if file.startswith(("/opt/", "/usr/lib/.build-id", "/usr/lib/debug"))]


def test_licences_are_marked_and_documentation_too(headers: dict[str, RpmHeader]) -> None:
    form = "[%{FILEFLAGS:fflags} %{FILENAMES}\\n]"
    marks = dict(line.split(" ", 1)[::-1] for line in ask(form, [headers["python3.11-txaio"].path]))
    assert [path for path, mark in marks.items() if mark == "l" and path.rpartition("/")[2] == "LICENSE"] != []
    assert [path for path, mark in marks.items() if mark == "d" and "README" in path] != []


def test_what_is_compiled_has_its_debug_packages(rpm_all: Run, headers: dict[str, RpmHeader], output: Path) -> None:
    debug = {header.name: header for header in read_headers(rpms(output / "debug"))}
    (info,) = (header for name, header in debug.items() if name == "python3.11-autobahn-debuginfo")
    assert [file for file in info.files if re.search(r"/_nvx_utf8validator\.\S+\.debug$", file)] != []
    assert [file for file in info.files if "/usr/lib/debug/.build-id/" in file] != []
    assert "python3.11-autobahn-debugsource" in debug
    assert not [name for name in debug if "txaio" in name]


def test_an_extra_is_installed_by_its_metapackage(project: Path, output: Path, rpm_all: Run, tmp_path: Path) -> None:
    workspace = Workspace(project / "elpack.toml", project / ".elpack", project / "dist")
    target, _ = choose_target(read_project(workspace).release, "el9-standin", "x86_64")
    system, work = base(target, workspace).repositories, workspace.work / "roots"
    tool = Dnf((*system, Repository("ours", str(output / "repo"))), target.arch, str(target.el), work / "dnf")
    with Roots(Dnf(system, target.arch, str(target.el), work / "dnf"), target.root, work).clean_root() as root:
        tool.install(root.path, ["python3.11-txaio+twisted"], tmp_path / "dnf.log")
        code = "import txaio; txaio.use_twisted(); import twisted; print(txaio.using_twisted, twisted.__version__)"
        assert in_root(root.path, "python3.11", "-c", code) == "True 26.4.0\n"
        assert "python3.11-autobahn" not in in_root(root.path, "rpm", "-qa")


def digests(output: Path, *names: str) -> dict[str, str]:
    """Return the digests, before signing, of all RPMs of packages, source and debug RPMs included."""
    listed = json.loads((output / "manifest.json").read_text())["artefacts"]
    starts = tuple(f"python3.11-{name}" for name in names)
    return {
        one["name"]: one["sha256"] for one in listed if one["kind"].endswith("rpm") and one["name"].startswith(starts)
    }


def test_a_second_build_gives_the_same_bytes(project: Path, output: Path, rpm_all: Run) -> None:
    names = ("txaio-", "txaio+", "autobahn-", "autobahn+")
    before = digests(output, *names)
    assert len(before) == 2 + len(METAPACKAGES) + 2 + 2  # RPMs, metapackages, source RPMs, debug packages
    for path in {path.parent for path in (project / ".elpack" / "store").rglob("*.rpm") if path.name in before}:
        shutil.rmtree(path)
    done = elpack("rpm", *STANDIN, *SYSTEM, project=project)
    assert done.returncode == 0, done.stderr[-6000:]
    built = set(re.findall(r"^ *built (\S+)", done.stderr, re.MULTILINE))
    assert built == {"python3.11-txaio-26.6.1-1.el9s", "python3.11-autobahn-26.10.2-1.el9s"}
    assert digests(output, *names) == before


EL9 = ("--target", "el9", "--arch", "x86_64", *SYSTEM)


def test_what_rhel_ships_is_replaced_only_with_a_reason_that_is_told(project: Path) -> None:
    done = elpack("plan", *EL9, project=project)
    assert done.returncode == 0, done.stderr[-6000:]
    assert (
        "python3.12-cryptography of the target's appstream is replaced: autobahn needs cryptography>=50" in done.stderr
    )
    assert "python3.12-cffi of the target's appstream is replaced: autobahn needs cffi>=2.0" in done.stderr


def test_without_a_reason_what_rhel_ships_is_not_replaced(project: Path, tmp_path: Path) -> None:
    shutil.copytree(
        project, tmp_path / "copy", symlinks=True, copy_function=link_or_copy, ignore=shutil.ignore_patterns("dist")
    )
    file = tmp_path / "copy" / "elpack.toml"
    text = file.read_text()
    file.unlink()  # it may be the same file
    file.write_text(re.sub(r"\[system\.replace\]\n(.+\n)+", "", text))
    done = elpack("plan", *EL9, project=file.parent)
    assert done.returncode == PlanError.exit_code, done.stdout + done.stderr
    for dist, wanted in (("cffi", "autobahn requires cffi>=2"), ("cryptography", "autobahn requires cryptography>=50")):
        assert f"{dist} (el9 / 3.12 / x86_64): " in done.stderr
        assert wanted in done.stderr
        assert f'[system.replace] {dist} = "the reason"' in done.stderr
    assert "Traceback" not in done.stderr

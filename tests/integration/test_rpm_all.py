"""The main job on the real input: 142 locked dists become RPMs, are installed by dnf, work, and go away again.

One cold or warm `elpack rpm-all` for the stand-in serves all tests here; it shares the work folder with whoever
types `just rpm-all`, so what that built is not built again.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import DISTS, OUTPUT, PROJECT, STANDIN, elpack, in_root, rpms
from tests.rpmtools import rpmlint

from elpack.builders import Repository
from elpack.builders.roots import Roots
from elpack.run import run
from elpack.smoke import make_session
from elpack.steps.base import base, choose_target
from elpack.steps.project import read_project
from elpack.steps.smoke import smoke_root
from elpack.tools.createrepo import create_repository
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import read_headers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.wamp import Run

pytestmark = [pytest.mark.root, pytest.mark.integration]

RUNTIME = 1

# Other versions than the lock's, as a host may have them for its own use; two of them do not even import.
HOST_DISTS = {
    "idna": ("99.0", "__version__ = '99.0'"),
    "cryptography": ("1.0", 'raise ImportError("the host has its own cryptography")'),
    "numpy": ("1.0", 'raise ImportError("the host has its own numpy")'),
}


def test_every_dist_of_the_lock_is_an_rpm_with_a_source_rpm(rpm_all: Run) -> None:
    assert len(rpm_all.artefacts("rpm")) == DISTS + RUNTIME
    assert len(rpm_all.artefacts("srpm")) == DISTS + RUNTIME
    assert {path.name for path in rpms()} == {entry["name"] for entry in rpm_all.artefacts("rpm")}
    assert "crossbar-26.10.1-1.el9s.noarch.rpm" in {path.name for path in rpms()}


def test_the_manifest_says_that_it_is_the_stand_in(rpm_all: Run) -> None:
    assert rpm_all.manifest["standin"] is True
    assert all(".el9s." in entry["name"] for entry in rpm_all.artefacts("rpm"))


def test_each_step_of_the_smoke_test_passed(rpm_all: Run) -> None:
    report = json.loads((OUTPUT / "logs" / "smoke" / "report.json").read_text())
    names = [step["name"] for step in report]
    assert {step["name"] for step in report if step["status"] != "ok"} == set()
    assert {"version", "native code", "client", "stop", "service client", "service stop"} <= set(names)


def test_dnf_installed_the_whole_closure_for_the_name_that_customers_type(rpm_all: Run) -> None:
    text = (OUTPUT / "logs" / "dnf-install.log").read_text()
    assert re.search(r"^ crossbar +noarch +26\.10\.1-1\.el9s", text, re.MULTILINE)
    assert len(re.findall(r"^ crossbar\S* +(?:noarch|x86_64) ", text, re.MULTILINE)) == DISTS + RUNTIME


def test_a_second_run_does_nothing_and_says_so(rpm_all: Run) -> None:
    before = {path.name: path.stat().st_ino for path in (PROJECT / ".elpack" / "store").glob("*/*/*.rpm")}
    done = elpack("rpm-all", *STANDIN)
    assert done.returncode == 0, done.stderr
    assert "nothing to do: all 158 had been built before" in done.stderr
    assert "nothing to do: this very set was installed and smoke-tested before" in done.stderr
    assert {path.name: path.stat().st_ino for path in (PROJECT / ".elpack" / "store").glob("*/*/*.rpm")} == before


def test_nothing_is_offered_to_the_rest_of_the_system(rpm_all: Run) -> None:
    offered = {provide.split(" ")[0] for header in read_headers(rpms()) for provide in header.provides}
    outside = {name for name in offered if not name.startswith(("crossbar", "user(crossbar)", "group(crossbar)"))}
    vendored = {name for name in outside if name.startswith("bundled(")}
    assert outside - vendored == {"python3-crossbar"}
    assert vendored == {
        "bundled(flatbuffers)",
        "bundled(lmdb)",
        "bundled(npm(@openzeppelin/contracts))",
        "bundled(python3dist(flatbuffers))",
        "bundled(python3dist(lmdb))",
    }


def test_requirements_inside_the_release_are_exact(rpm_all: Run) -> None:
    inside = [req for header in read_headers(rpms()) for req in header.requires if req.startswith("crossbar-python")]
    assert len(inside) > DISTS
    assert [require for require in inside if not re.search(r" = \S+-1\.el9s$", require)] == []


def test_rpmlint_finds_nothing(rpm_all: Run) -> None:
    built = [path for folder in ("repo", "srpms", "buildroot") for path in sorted((OUTPUT / folder).glob("*.rpm"))]
    assert len(built) == 2 * 158
    assert rpmlint(*built, *sorted((OUTPUT / "specs").glob("*.spec"))) == []


def test_extension_modules_are_there_and_ask_for_no_library_of_their_own(rpm_all: Run) -> None:
    headers = {header.name: header for header in read_headers(rpms())}
    for dist, modules in {
        "autobahn": ("_nvx_utf8validator", "_nvx_xormasker"),
        "zlmdb": ("zlmdb/_lmdb_vendor/_lmdb_cffi", "zlmdb/_lmdb_vendor/_lmdb1_cffi"),
        "bjdata": ("_bjdata",),
    }.items():
        files = headers[f"crossbar-python3.11-{dist}"].files
        for module in modules:
            assert any(f"site-packages/{module}.cpython-311" in file for file in files), (dist, module)
    numpy = headers["crossbar-python3.11-numpy"]
    assert [require for require in numpy.requires if re.match(r"lib(gfortran|quadmath|scipy)", require)] == []
    assert any(require.startswith("libc.so.6") for require in numpy.requires)


def test_only_one_package_has_flatc(rpm_all: Run) -> None:
    owners = [header.name for header in read_headers(rpms()) if "/opt/crossbar/bin/flatc" in header.files]
    assert owners == ["crossbar-python3.11-zlmdb"]


def test_a_host_with_other_versions_is_neither_changed_nor_in_the_way(rpm_all: Run, tmp_path: Path) -> None:
    workspace = Workspace(PROJECT / "elpack.toml", PROJECT / ".elpack", PROJECT / "dist")
    release = read_project(workspace).release
    target, _ = choose_target(release, "el9-standin", "x86_64")
    repositories = (
        *base(target, workspace).repositories,
        Repository("host", str(host_repository(tmp_path))),
        Repository("crossbar", str(OUTPUT / "repo")),
    )
    work = workspace.work / "roots"
    dnf = Dnf(repositories, target.arch, str(target.el), work / "dnf")
    roots = Roots(Dnf(repositories[:1], target.arch, str(target.el), work / "dnf"), target.root, work)
    with roots.clean_root() as root:
        dnf.install(root.path, [f"python3.11-{name}" for name in HOST_DISTS], tmp_path / "host.log")
        before = host_state(root.path)
        dnf.install(root.path, ["python3-crossbar"], tmp_path / "crossbar.log")
        versions = {entry["dist"].split("==")[0]: entry["dist"].split("==")[1] for entry in rpm_all.artefacts("rpm")}
        places = {"prefix": release.prefix, "python": f"{release.prefix}/bin/python"}
        smoke_root(
            root.path,
            make_session(release.smoke, None, places, versions),
            interpreter=target.interpreter,
            files=PROJECT / release.smoke.files,
            logs=tmp_path / "smoke",
            runner=run,
        )
        assert host_state(root.path) == before
        assert in_root(root.path, "/usr/bin/python3.11", "-c", "import idna; print(idna.__version__)") == "99.0\n"
        dnf.remove(root.path, ["crossbar"], tmp_path / "remove.log")
        assert host_state(root.path) == before


def host_repository(folder: Path) -> Path:
    """Make RPMs of other versions, in the interpreter's own site-packages, as a distribution would."""
    repository = folder / "host"
    for name, (version, code) in HOST_DISTS.items():
        site = "/usr/lib/python3.11/site-packages"
        spec = folder / f"{name}.spec"
        spec.write_text(
            f"Name: python3.11-{name}\nVersion: {version}\nRelease: 1\nSummary: The host's own {name}\nLicense: MIT\n"
            f"BuildArch: noarch\nAutoReqProv: no\nProvides: python3.11dist({name}) = {version}\n"
            f"%description\nThe host's own {name}.\n%install\nmkdir -p %{{buildroot}}{site}/{name}\n"
            f"cat > %{{buildroot}}{site}/{name}/__init__.py <<'EOF'\n{code}\nEOF\n%files\n{site}/{name}\n"
        )
        command = ("rpmbuild", "-bb", "--define", f"_topdir {folder}/top", "--define", f"_rpmdir {repository}")
        subprocess.run((*command, str(spec)), check=True, capture_output=True)
    create_repository(repository)
    return repository


def host_state(root: Path) -> str:
    """Return what rpm knows of the host's own packages, and whether their files are as they were."""
    names = [f"python3.11-{name}" for name in HOST_DISTS]
    return in_root(root, "rpm", "-q", *names) + in_root(root, "rpm", "-V", *names)

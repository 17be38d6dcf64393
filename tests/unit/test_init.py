"""`elpack init`: what is found out about a project becomes a release file that elpack reads; mistakes are told."""

from __future__ import annotations

import datetime as dt
import io
import os
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tests.unit.backends import packs

from elpack.config import parse_release
from elpack.errors import ConfigError, LockError
from elpack.init import NOBODY, Found, Own, choose_targets, declared_name, packager_of, release_text, runtime_extras
from elpack.naming import dist_name
from elpack.run import Completed
from elpack.steps.init import init
from elpack.targets import TargetChoice
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from elpack.run import Command

SHOP = Found(
    name=dist_name("shop-server"),
    version=Version("1.2"),
    summary='Sells "things"\n[release]\nname = "evil"',
    packager="Ann Ö <ann@example.org>",
    commands=("shop", "shop-server"),
    locked=True,
    targets=(TargetChoice("el9", "3.12", ("x86_64",)), TargetChoice("el9-standin", "3.11", ("x86_64",))),
    date=dt.date(2026, 11, 20),
    dated="of the last commit",
    own=(Own(dist_name("models"), path="../models"), Own(dist_name("ui"), git="https://example.org/ui", tag="v1")),
    modules=("_speedups", "shop_server"),
)
PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "shop"
version = "1.0"
dependencies = ["lib>=1.02"]
scripts.shop = "shop:main"
authors = [{name = "Ann", email = "ann@example.org"}]
"""
PKG_INFO = "Metadata-Version: 2.1\nName: shop\nVersion: 1.0\nRequires-Dist: lib>=1.2\n"
FILE = 'url = "https://example.org/lib-1.2-py3-none-any.whl", upload-time = "2026-05-04T10:00:00Z"'
LOCK = f"""
version = 1
requires-python = ">=3.11"
[[package]]
name = "shop"
version = "1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "lib" }}]
[package.metadata]
requires-dist = [{{ name = "lib", specifier = ">=1.2" }}]
[[package]]
name = "lib"
version = "1.2"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ {FILE}, hash = "sha256:{"0" * 64}" }}]
"""


class Backend:
    """Plays uv with a build backend that packs pyproject.toml and metadata, and git without a repository."""

    def __init__(self, pkg_info: str = PKG_INFO, name: str = "shop-1.0") -> None:
        self.pkg_info, self.name = pkg_info, name

    def __call__(self, command: Command) -> Completed:
        if command.argv[0] == "git":
            return Completed(command, 128, "", "not a git repository", 0.0)
        if not packs(command):
            return Completed(command, 0, "", "", 0.0)
        into, tree = Path(command.argv[command.argv.index("--out-dir") + 1]), Path(command.argv[-1])
        with tarfile.open(into / f"{self.name}.tar.gz", "w:gz") as archive:
            files = {"PKG-INFO": self.pkg_info, "pyproject.toml": (tree / "pyproject.toml").read_text()}
            for name, text in files.items():
                member = tarfile.TarInfo(f"{self.name}/{name}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        return Completed(command, 0, "", "", 0.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "uv.lock").write_text(LOCK)
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


def refused(workspace: Workspace, kind: type[Exception] = ConfigError, backend: Backend | None = None) -> str:
    with pytest.raises(kind) as caught:
        init(workspace, backend or Backend())
    assert not workspace.file.exists()
    return str(caught.value)


def test_an_application() -> None:
    release = parse_release(release_text(SHOP))
    assert (release.layout, release.name, release.application.name) == ("stack", "shop-server", "shop-server")
    assert release.application.expose == ("shop", "shop-server")
    assert release.application.provides == ("python3-shop-server",)
    assert {dist.name: dist.path or dist.tag for dist in release.first_party} == {
        "shop-server": ".",
        "models": "../models",
        "ui": "v1",
    }
    assert [step.run for step in release.smoke.steps] == [("shop-server", "--help")]
    assert release.date == dt.date(2026, 11, 20)


def test_its_example_of_a_service_is_one() -> None:
    text = release_text(SHOP)
    service = text[text.index("# [service]") :].replace("# ", "", 1).replace("\n# ", "\n")
    release = parse_release(text[: text.index("# [service]")] + service)
    assert release.service is not None
    assert release.service.exec_start == ("/opt/shop-server/bin/shop-server", "serve")


def test_every_key_of_the_release_is_explained() -> None:
    head = release_text(SHOP).partition("[first-party]")[0]
    assert [line for line in head.splitlines() if " = " in line and "#" not in line] == []


def test_a_library() -> None:
    library = replace(SHOP, commands=(), extras=(dist_name("fast"),))
    release = parse_release(release_text(library))
    assert (release.layout, release.application.library, release.application.lock) == ("system", True, "uv.lock")
    assert release.system_extras(library.name) == ("fast",)
    assert [step.run[2] for step in release.smoke.steps] == ["import shop_server"]
    assert parse_release(release_text(replace(library, locked=False))).application.lock == ""


def test_names_that_mean_something_to_el9() -> None:
    release = parse_release(release_text(replace(SHOP, name=dist_name("python3-shop"))))
    assert (release.application.rpm, release.application.provides) == ("shop", ("python3-shop",))


@pytest.mark.parametrize(
    ("project", "packager"),
    [
        ({"authors": [{"name": "A"}, {"name": "B", "email": "b@x.org"}]}, "B <b@x.org>"),
        ({"maintainers": [{"name": "M\nN", "email": "m@x.org"}]}, "M N <m@x.org>"),
        ({"authors": [{"name": "%(id)", "email": "b@x.org"}]}, NOBODY),
        ({"authors": "somebody"}, NOBODY),
        ({}, NOBODY),
    ],
)
def test_packager(project: dict[str, object], packager: str) -> None:
    assert packager_of({"project": project}) == packager


def test_packager_of_poetry() -> None:
    assert packager_of({"tool": {"poetry": {"authors": ["Ann <ann@x.org>"]}}}) == "Ann <ann@x.org>"


def test_extras_of_developers_get_no_metapackage() -> None:
    assert runtime_extras(["Dev", "docs", "tests", "lint", "postgres", "all"]) == ("postgres",)


def test_the_newest_python_that_the_project_allows() -> None:
    assert [(t.name, t.python) for t in choose_targets([SpecifierSet(">=3.10")], "x86_64")] == [
        ("el9", "3.12"),
        ("el9-standin", "3.11"),
    ]
    assert [t.python for t in choose_targets([SpecifierSet("<3.12")], "x86_64")] == ["3.11", "3.11"]
    assert [t.name for t in choose_targets([SpecifierSet(">=3.12")], "x86_64")] == ["el9"]
    with pytest.raises(ConfigError, match=r"asks for Python >=3\.13, which no target has"):
        choose_targets([SpecifierSet(">=3.13")], "x86_64")


def test_what_is_written(workspace: Workspace) -> None:
    found = init(workspace, Backend()).found
    release = parse_release(workspace.file.read_text())
    assert found.application
    assert release.date == dt.date(2026, 5, 4), "the newest upload that the lock knows of"
    assert release.packager == "Ann <ann@example.org>"
    assert (workspace.work / ".gitignore").read_text() == "*\n"


def test_without_a_lock_it_is_a_library_of_the_day_it_was_changed(workspace: Workspace) -> None:
    (workspace.home / "uv.lock").unlink()
    os.utime(workspace.home / "pyproject.toml", (1_700_000_000, 1_700_000_000))
    written = init(workspace, Backend())
    assert not written.found.application
    assert written.found.date == dt.date(2023, 11, 14)
    assert "uv lock" in written.notices[0]


def test_a_lock_that_does_not_hold_the_project_is_not_used(workspace: Workspace) -> None:
    (workspace.home / "uv.lock").write_text('version = 1\nrequires-python = ">=3.11"\n')
    written = init(workspace, Backend())
    assert not written.found.locked
    assert "does not hold shop" in written.notices[0]


def test_a_release_file_is_never_overwritten(workspace: Workspace) -> None:
    workspace.file.write_text("mine")
    with pytest.raises(ConfigError, match="there is a release file already"):
        init(workspace, Backend())
    assert workspace.file.read_text() == "mine"


@pytest.mark.parametrize(
    ("pyproject", "message"),
    [
        ("[project", "not valid TOML"),
        ('[project]\nversion = "1"', "the project has no name"),
        ('[project]\nname = "shop"', "the project has no version"),
        ('[project]\nname = "-"\nversion = "1"', "not a valid name"),
        ("project = 1", "[project] is not a table"),
        ('[project]\nname = "shop"\nversion = "one"', "'one' is not a PEP 440 version"),
        ('[project]\nname = "shop"\nversion = 1', "is not a PEP 440 version"),
    ],
)
def test_bad_projects(workspace: Workspace, pyproject: str, message: str) -> None:
    (workspace.home / "pyproject.toml").write_text(pyproject)
    assert message in refused(workspace)


@pytest.mark.parametrize("pyproject", ["tool = 1", "[tool]\npoetry = 1", '[tool.poetry]\nname = "-"'])
def test_what_is_no_name_is_left_to_the_backend(pyproject: str) -> None:
    assert declared_name(tomllib.loads(pyproject)) is None


def test_no_project_at_all(workspace: Workspace) -> None:
    (workspace.home / "pyproject.toml").unlink()
    assert "there is no pyproject.toml" in refused(workspace)


def test_a_backend_that_knows_neither_name_nor_version(workspace: Workspace) -> None:
    (workspace.home / "pyproject.toml").write_text("")
    backend = Backend(PKG_INFO.replace("shop", "UNKNOWN").replace("1.0", "0.0.0"), "unknown-0.0.0")
    text = refused(workspace, backend=backend)
    assert "the project has no name" in text
    assert "the project has no version" in text


def test_a_dynamic_version_is_the_backend_s(workspace: Workspace) -> None:
    dynamic = PYPROJECT.replace('version = "1.0"', 'dynamic = ["version"]')
    (workspace.home / "pyproject.toml").write_text(dynamic)
    assert init(workspace, Backend(PKG_INFO.replace("1.0", "1.5"), "shop-1.5")).found.version == Version("1.5")


def test_a_stale_lock(workspace: Workspace) -> None:
    text = refused(workspace, LockError, Backend(PKG_INFO + "Requires-Dist: six\n"))
    assert "shop requires six, which the lock was not made for" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('git = "https://example.org/lib?branch=main#0123"', "without a tag"),
        ('url = "https://example.org/lib-1.2.tar.gz"', "only indexes, folders and git tags"),
    ],
)
def test_sources_that_nobody_can_package(workspace: Workspace, source: str, message: str) -> None:
    values = tomllib.loads(LOCK)
    assert values["package"][1]["name"] == "lib"
    lock = LOCK.replace('registry = "https://pypi.org/simple"', source)
    (workspace.home / "uv.lock").write_text(lock[: lock.index("wheels =")])
    assert message in refused(workspace, LockError)

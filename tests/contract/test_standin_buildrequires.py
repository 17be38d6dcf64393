"""The stand-in's %pyproject_buildrequires: which requirements it finds, and how it spells them for rpm."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import elpack.standin

if TYPE_CHECKING:
    from types import ModuleType

HELPER = Path(elpack.standin.__file__).parent / "files/pyproject-rpm-macros/usr/lib/rpm/elpack/pyproject-buildrequires"
GENERATOR = Path("/usr/lib/rpm/pythondistdeps.py")

BACKEND = (
    """
import pathlib
def build_wheel(folder, settings=None, metadata=None):
    import zipfile
    with zipfile.ZipFile(pathlib.Path(folder, "demo-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("demo-1.dist-info/METADATA", METADATA)
    return "demo-1-py3-none-any.whl"
def get_requires_for_build_wheel(settings=None):
    print("noise")
    return ["packaging>=3; python_version>='3'", *(settings or {})]
METADATA = """
    + repr("""\
Name: demo
Requires-Dist: dynamic!=2
Requires-Dist: never; python_version < '3'
Requires-Dist: Two_Words[b,A]<3; extra == 'One.Extra'
Requires-Dist: demo[one-extra]; extra == 'all'
""")
    + """
"""
)
ASKED = """
def prepare_metadata_for_build_wheel(folder, settings=None):
    pathlib.Path(folder, "demo-1.dist-info").mkdir()
    pathlib.Path(folder, "demo-1.dist-info/METADATA").write_text(METADATA)
    return "demo-1.dist-info"
"""
PROJECT = """
[build-system]
requires = ["{requires}"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "demo"
{more}
"""
BUILD = ["p(pytest) >= 1", "p(packaging) >= 3"]
DYNAMIC = "(p(dynamic) < 2 or p(dynamic) > 2)"
ONE = ["p(two-words) < 3", "p(two-words[a]) < 3", "p(two-words[b]) < 3"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "backend.py").write_text(BACKEND + ASKED)
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(requires="pytest>=1", more=""))
    return tmp_path


def ask(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-sB", str(HELPER), "p", "wheels", *options]
    return subprocess.run(command, check=False, text=True, capture_output=True, cwd=folder)


def lines(folder: Path, *options: str) -> list[str]:
    done = ask(folder, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-R"], BUILD),
        ([], [*BUILD, DYNAMIC]),
        (["-r"], [*BUILD, DYNAMIC]),
        (["-w"], [*BUILD, DYNAMIC]),
        (["-x", "one_extra"], [*BUILD, DYNAMIC, *ONE]),
        (["-x", "all"], [*BUILD, DYNAMIC, *ONE]),
        (["-x", "none,one-extra"], [*BUILD, DYNAMIC, *ONE]),
        (["-R", "-C", "hatchling=1"], [*BUILD, "p(hatchling)"]),
    ],
    ids=" ".join,
)
def test_what_each_option_finds(project: Path, options: list[str], expected: list[str]) -> None:
    assert lines(project, *options) == expected


def test_a_wheel_that_was_built_for_its_metadata_is_kept(project: Path) -> None:
    lines(project, "-w")
    assert (project / "wheels/demo-1-py3-none-any.whl").exists()


def test_what_is_not_installed_ends_the_pass(project: Path) -> None:
    (project / "pyproject.toml").write_text(PROJECT.format(requires="not-there", more=""))
    assert lines(project) == ["p(not-there)"]
    (project / "pyproject.toml").write_text(PROJECT.format(requires="pytest>=9999", more=""))
    assert lines(project) == ["p(pytest) >= 9999"]


def test_a_backend_that_cannot_tell_is_said(project: Path) -> None:
    (project / "backend.py").write_text(BACKEND)
    assert "use -w" in ask(project).stderr
    assert lines(project, "-w") == [*BUILD, DYNAMIC]


def test_a_project_without_a_table_is_setuptools(tmp_path: Path) -> None:
    assert "neither a pyproject.toml nor a setup.py" in ask(tmp_path).stderr
    (tmp_path / "setup.py").write_text("")
    assert lines(tmp_path, "-R")[0] == "p(setuptools) >= 40.8"


def test_files_of_requirements(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# no\none >= 1 \\\n  ,< 2 # why\n-r sub/b.txt\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.txt").write_text("two\n")
    assert lines(tmp_path, "-N", "a.txt") == ["(p(one) < 2 with p(one) >= 1)", "p(two)"]
    (tmp_path / "a.txt").write_text("--index-url x\n")
    assert "is not understood" in ask(tmp_path, "-N", "a.txt").stderr


@pytest.mark.parametrize("options", [["-R", "-x", "a"], ["-R", "-r"], ["-R", "-w"], ["-N"], ["-N", "-x", "a", "f"]])
def test_options_that_contradict_each_other(project: Path, options: list[str]) -> None:
    assert ask(project, *options).returncode != 0


@pytest.mark.parametrize("requirement", ["a @ https://example.org/a.whl", "a >< 1", "a ===x-y"])
def test_what_no_rpm_can_be_is_refused(project: Path, requirement: str) -> None:
    (project / "pyproject.toml").write_text(PROJECT.format(requires=requirement, more=""))
    done = ask(project)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def module(path: Path) -> ModuleType:
    loader = SourceFileLoader(path.stem.replace("-", "_"), str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    loader.exec_module(made)
    return made


OPERATORS = ["~=", "==", "!=", "<", "<=", ">", ">=", "==="]
VERSIONS = [
    "0",
    "1",
    "1.0",
    "1.2",
    "1.2.0",
    "1.2.3",
    "2!1.4",
    "1.0rc1",
    "1.0b2.dev3",
    "1.0.dev4",
    "1.0.post5",
    "1.0rc1.post2",
]


@pytest.mark.filterwarnings("ignore:Version._version is private")  # in rpm's generator
def test_versions_are_spelt_as_rpms_own_generator_does() -> None:
    if not GENERATOR.exists():
        pytest.skip("rpm's generator is not on this machine")
    ours, theirs = module(HELPER), module(GENERATOR)
    # PEP 440: ~= needs two numbers
    pairs = [(one, version) for one in OPERATORS for version in VERSIONS if one != "~=" or "." in version]
    pairs += [("==", "1.*"), ("==", "1.2.*"), ("==", "1.0.*")]
    assert [(pair, ours.term("n", *pair)) for pair in pairs] == [(pair, theirs.convert("n", *pair)) for pair in pairs]
    # there rpm's generator leaves out 1.3 itself
    assert ours.term("n", "!=", "1.2.*") == "(n < 1.2 or n >= 1.3)"

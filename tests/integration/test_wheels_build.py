"""Wheels of a small package with machine code, built by cibuildwheel in the stand-in image."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from elpack.errors import WheelError
from elpack.run import run
from elpack.steps.alone import alone
from elpack.steps.project import read_project
from elpack.steps.wheels.build import WantedWheels, build_wheels, renew_for_wheels
from elpack.steps.wheels.manifest import MANIFEST, entries
from elpack.steps.wheels.trials import Wanted, try_release
from elpack.wheels.trial import Origin, State
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.wheels, pytest.mark.root]

RELEASE = """\
[release]
name = "marker"
date = 2026-11-20
packager = "A <a@example.org>"
layout = "system"
[library]
name = "marker"
[first-party]
marker = { path = "marker" }
[targets.el9-standin]
python = "3.11"
[wheels]
interpreters = ["cp312", "cp313", "pp311"]
arches = ["x86_64"]
policies = ["manylinux_2_28"]
"""
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "marker"
version = "1.0"
readme = "README.md"
"""
SETUP = """\
import os
from setuptools import Extension, setup
newer = ["-target", "x86_64-linux-gnu.2.38"] if "NEWER" in os.environ else []
module = Extension("marker", ["marker.c"], extra_compile_args=newer, extra_link_args=newer)
setup(py_modules=["plain"], ext_modules=[] if "NOTHING" in os.environ else [module])
"""
CODE = """\
#include <Python.h>
#include <string.h>
#if __GLIBC_MINOR__ >= 38
size_t newest(char *to, const char *from) { return strlcpy(to, from, 9); }
#endif
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "marker", 0, -1, 0};
PyMODINIT_FUNC PyInit_marker(void) { return PyModule_Create(&module); }
"""
VARIABLE = '[[wheels.environment]]\nname = "{name}"\nvalue = "1"\nreason = "of a test"\n'


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("wheels")
    files = {
        "elpack.toml": RELEASE,
        "marker/pyproject.toml": PYPROJECT,
        "marker/setup.py": SETUP,
        "marker/marker.c": CODE,
        "marker/plain.py": "",
        "marker/README.md": "# Marker\n",
        "marker/MANIFEST.in": "include *.c\n",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    return Workspace(home / "elpack.toml", home / ".elpack", home / "dist")


def digests(workspace: Workspace) -> dict[str, str]:
    folder = workspace.dist / "wheels"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}
    told = json.loads((folder / MANIFEST).read_text())["files"]
    assert {one["file"]: one["sha256"] for one in told if one["kind"] == "wheel"} == found
    return found


def test_wheels_are_built_once_and_two_builds_give_the_same_bytes(
    workspace: Workspace, needs: Callable[..., None]
) -> None:
    needs("podman", "mmdebstrap")
    said: list[str] = []
    with alone(workspace):
        assert renew_for_wheels(read_project(workspace), workspace, run) == 1
        results = build_wheels(workspace, WantedWheels(standin=True), said.append)
        told = {one.cell.interpreter: (one.wheel is not None, one.cell.reason, one.error) for one in results}
        assert told["cp313"] == told["pp311"] == (True, "", "")
        assert not told["cp312"][0]
        assert "has cp312" in told["cp312"][1]
        (gap,) = entries(workspace.dist / "wheels", "missing")
        assert (gap["interpreter"], gap["reason"]) == ("cp312", told["cp312"][1])
        first = digests(workspace)
        assert {name.split("-")[2] for name in first} == {"cp313", "pp311"}
        assert all("manylinux_2_28_x86_64" in name for name in first)
        said.clear()
        build_wheels(workspace, WantedWheels(standin=True), said.append)
        assert not said
        build_wheels(workspace, WantedWheels(standin=True, again=True), said.append)
        assert len(said) == len(first)
        assert digests(workspace) == first


def test_what_was_built_is_tried_on_the_standin_s_interpreters(
    workspace: Workspace, needs: Callable[..., None]
) -> None:
    needs("bwrap", "mmdebstrap")
    tags = ("cp313", "pp311")
    trials = try_release(workspace, Wanted(interpreters=tags, standin=True, compile=True), lambda _: None)
    assert {(one.interpreter, one.origin): one.state for one in trials} == {
        (tag, origin): State.PASSED for tag in tags for origin in Origin
    }
    assert all("stand-in image" in one.python for one in trials)
    tested = {one.get("interpreter"): one for one in entries(workspace.dist / "wheels") if one["kind"] == "wheel"}
    assert all(tested[tag]["tests"][0]["parts"]["imports"] == {"modules": 2} for tag in tags)


@pytest.mark.parametrize(
    ("name", "said"),
    [("NOTHING", "compiled nothing"), ("NEWER", "uses newer symbols of glibc than manylinux_2_28 allows")],
)
def test_what_is_not_what_it_says_is_refused(
    workspace: Workspace, needs: Callable[..., None], name: str, said: str
) -> None:
    needs("podman", "mmdebstrap")
    workspace.file.write_text(RELEASE + VARIABLE.format(name=name))
    with alone(workspace):
        (one,) = build_wheels(workspace, WantedWheels(interpreters=("cp313",), standin=True), lambda _: None)
    assert said in one.error
    assert one.wheel is None


def test_what_the_judges_refuse_is_not_handed_over(workspace: Workspace, needs: Callable[..., None]) -> None:
    needs("podman", "mmdebstrap")
    assert digests(workspace)
    workspace.file.write_text(RELEASE)
    project = workspace.file.with_name("marker") / "pyproject.toml"
    project.write_text(PYPROJECT.replace('readme = "README.md"\n', "").replace("1.0", "2.0"))
    with alone(workspace):
        (one,) = build_wheels(workspace, WantedWheels(interpreters=("cp313",), standin=True), lambda _: None)
    project.write_text(PYPROJECT)
    assert "long_description" in one.error
    assert one.wheel is None
    # those of the version before are not left beside the new sdist
    assert digests(workspace) == {}
    assert [path.name for path in (workspace.dist / "wheels").glob("*.tar.gz")] == ["marker-2.0.tar.gz"]


def test_words_that_name_nothing_are_refused_together(workspace: Workspace) -> None:
    wanted = WantedWheels(packages=("other",), interpreters=("cp310",), arches=("aarch64",), policies=("musl",))
    with pytest.raises(WheelError) as caught:
        build_wheels(workspace, wanted, lambda _: None)
    assert [problem.where for problem in caught.value.problems] == ["--package", "--interpreter", "--arch", "--policy"]

"""PyPy in the place of CPython: which markers hold, which wheels run, and what the build lock is made for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.markers import Marker
from packaging.version import Version

from elpack.buildlock import BuildInputs, build_inputs
from elpack.buildlock_text import project_text
from elpack.model import Policy, RemoteFile, SelectedDist, Selection, Sha256
from elpack.naming import dist_name
from elpack.plan.policy import choose_file, target_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target

PYPY_7 = "dist-1.0-pp311-pypy311_pp73-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


@pytest.fixture
def pypy(make_target: Callable[[str, str], Target]) -> Target:
    return replace(make_target("3.11", "x86_64"), pypy="7.3")


def _choice(target: Target, *wheels: str) -> tuple[Policy, str]:
    files = tuple(RemoteFile(name, f"https://files.invalid/{name}", Sha256("0" * 64)) for name in wheels)
    sdist = RemoteFile("dist-1.0.tar.gz", "https://files.invalid/dist-1.0.tar.gz", Sha256("1" * 64))
    dist = SelectedDist(dist_name("dist"), Version("1.0"), frozenset(), (), sdist, files, 1)
    found = choose_file(dist, target, target_tags(target))
    return found.policy, found.file.filename if found.file and found.policy is Policy.WHEEL else found.reason


@pytest.mark.parametrize(
    ("marker", "on_pypy"),
    [
        ("platform_python_implementation == 'PyPy'", True),
        ("implementation_name == 'cpython'", False),
        ("python_version == '3.11' and sys_platform == 'linux'", True),
        ("implementation_version >= '7.3'", True),
    ],
)
def test_markers_hold_as_on_pypy(pypy: Target, marker: str, *, on_pypy: bool) -> None:
    assert Marker(marker).evaluate(pypy.marker_environment()) is on_pypy


def test_cpython_is_told_as_before(make_target: Callable[[str, str], Target]) -> None:
    target = make_target("3.12", "x86_64")
    environment = target.marker_environment()
    assert (environment["implementation_name"], environment["implementation_version"]) == ("cpython", "3.12.99")
    assert (str(target), target.python_name) == ("el9 / 3.12 / x86_64", "python3.12")


def test_pypy_is_told_apart(pypy: Target) -> None:
    assert (str(pypy), pypy.python_name) == ("el9 / PyPy 3.11 / x86_64", "pypy3.11")


@pytest.mark.parametrize(
    ("wheels", "taken"),
    [
        ((PYPY_7, "dist-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"), PYPY_7),
        (("dist-1.0-py3-none-any.whl", PYPY_7), PYPY_7),
        (("dist-1.0-py3-none-manylinux2014_x86_64.whl",), "dist-1.0-py3-none-manylinux2014_x86_64.whl"),
    ],
)
def test_a_wheel_for_pypy_is_taken(pypy: Target, wheels: tuple[str, ...], taken: str) -> None:
    assert _choice(pypy, *wheels) == (Policy.WHEEL, taken)


@pytest.mark.parametrize(
    "wheel",
    [
        "dist-1.0-cp39-abi3-manylinux_2_17_x86_64.whl",
        "dist-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        "dist-1.0-pp311-pypy311_pp80-manylinux_2_17_x86_64.whl",
        "dist-1.0-pp310-pypy310_pp73-manylinux_2_17_x86_64.whl",
    ],
)
def test_a_wheel_for_another_interpreter_is_not(pypy: Target, wheel: str) -> None:
    assert _choice(pypy, wheel) == (Policy.SDIST, "the lock pins no wheel for PyPy 7.3 (Python 3.11) on x86_64")


def test_a_wheel_for_a_newer_glibc_is_told(pypy: Target) -> None:
    wheel = "dist-1.0-pp311-pypy311_pp73-manylinux_2_39_x86_64.whl"
    assert _choice(pypy, wheel) == (Policy.SDIST, "its wheels need glibc 2.39, the target has 2.34")


def test_a_build_lock_for_pypy_asks_for_pypy(pypy: Target) -> None:
    inputs = build_inputs((), [(pypy, Selection(dist_name("app"), ()))])
    assert inputs.environments == ("pypy3.11 x86_64",)
    text = project_text((), inputs, (3, 11))
    assert "implementation_name == 'pypy'" in text
    assert "python_full_version >= '3.11' and python_full_version < '3.12'" in text


def test_a_build_lock_for_cpython_is_as_before() -> None:
    text = project_text((), BuildInputs({}, (), (), ("3.12 aarch64",)), (3, 11))
    assert "implementation_name == 'cpython' and platform_machine == 'aarch64'" in text

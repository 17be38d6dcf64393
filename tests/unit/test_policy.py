"""Which locked file becomes the RPM, and the reason that is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from elpack.model import Policy, RemoteFile, SelectedDist, Sha256, Target
from elpack.naming import dist_name
from elpack.plan.policy import best_wheel, choose_file, target_tags, why_no_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

SDIST = RemoteFile("demo-1.0.tar.gz", "", Sha256("0" * 64))
LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"


def wheels(*tags: str) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(f"demo-1.0-{tag}.whl", "", Sha256("1" * 64)) for tag in tags)


def dist(*tags: str, sdist: RemoteFile | None = SDIST) -> SelectedDist:
    return SelectedDist(dist_name("demo"), Version("1.0"), frozenset(), (), sdist, wheels(*tags), 1)


@pytest.fixture
def target(make_target: Callable[[str, str], Target]) -> Target:
    return make_target("3.12", "x86_64")


@pytest.mark.parametrize(
    ("tags", "best"),
    [
        (("py3-none-any",), "py3-none-any"),
        (("py2.py3-none-any",), "py2.py3-none-any"),
        (("py3-none-any", f"cp312-cp312-{LINUX}"), f"cp312-cp312-{LINUX}"),
        ((f"cp312-cp312-{LINUX}", "cp312-cp312-manylinux_2_28_x86_64"), "cp312-cp312-manylinux_2_28_x86_64"),
        ((f"cp311-cp311-{LINUX}", f"cp310-abi3-{LINUX}"), f"cp310-abi3-{LINUX}"),
        ((f"cp39-abi3-{LINUX}", f"cp311-abi3-{LINUX}"), f"cp311-abi3-{LINUX}"),
        ((f"cp313-abi3-{LINUX}",), None),
        ((f"cp312-cp312t-{LINUX}",), None),
        ((f"pp311-pypy311_pp73-{LINUX}",), None),
        (("cp312-cp312-musllinux_1_2_x86_64",), None),
        (("cp312-cp312-manylinux_2_34_x86_64",), "cp312-cp312-manylinux_2_34_x86_64"),
        (("cp312-cp312-manylinux_2_35_x86_64",), None),
        (("cp312-cp312-manylinux_2_28_aarch64",), None),
        (("cp312-cp312-manylinux1_x86_64",), "cp312-cp312-manylinux1_x86_64"),
        (("cp312-cp312-win_amd64", "cp312-cp312-macosx_11_0_arm64"), None),
        (("1-py3-none-any", "py3-none-any"), "1-py3-none-any"),
        (("1-py3-none-any", "10-py3-none-any", "9-py3-none-any"), "10-py3-none-any"),
        (("2-py3-none-any", f"cp312-cp312-{LINUX}"), f"cp312-cp312-{LINUX}"),
    ],
)
def test_the_best_wheel_is_what_an_installer_would_take(
    tags: tuple[str, ...], best: str | None, target: Target
) -> None:
    for order in (tags, tags[::-1]):
        found = best_wheel(wheels(*order), target_tags(target))
        assert (found and found.filename) == (best and f"demo-1.0-{best}.whl")


def test_a_file_name_that_is_no_wheel_s_is_passed_over(target: Target) -> None:
    odd = RemoteFile("demo.whl", "", Sha256("2" * 64))
    assert best_wheel((odd,), target_tags(target)) is None


def test_tags_follow_the_target(make_target: Callable[[str, str], Target]) -> None:
    aarch64 = make_target("3.11", "aarch64")
    found = best_wheel(
        wheels(f"cp311-cp311-{LINUX}", "cp311-cp311-manylinux_2_28_aarch64", "cp312-cp312-manylinux_2_28_aarch64"),
        target_tags(aarch64),
    )
    assert found is not None
    assert found.filename == "demo-1.0-cp311-cp311-manylinux_2_28_aarch64.whl"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ((), "the lock pins no wheel"),
        (("cp312-cp312-manylinux_2_35_x86_64",), "its wheels need glibc 2.35, the target has 2.34"),
        (("cp310-abi3-manylinux_2_36_x86_64",), "its wheels need glibc 2.36, the target has 2.34"),
        (("py3-none-manylinux_2_39_x86_64",), "its wheels need glibc 2.39, the target has 2.34"),
        (
            ("cp312-cp312-manylinux_2_39_x86_64", "cp312-cp312-manylinux_2_35_x86_64"),
            "its wheels need glibc 2.35, the target has 2.34",
        ),
        (("cp312-cp312-manylinux_2_35_aarch64",), "the lock pins no wheel for CPython 3.12 on x86_64"),
        (("cp313-cp313-manylinux_2_35_x86_64",), "the lock pins no wheel for CPython 3.12 on x86_64"),
        (("cp313-abi3-manylinux_2_17_x86_64",), "the lock pins no wheel for CPython 3.12 on x86_64"),
        (("cp312-cp312t-manylinux_2_17_x86_64",), "the lock pins no wheel for CPython 3.12 on x86_64"),
        (("cp312-cp312-win_amd64",), "the lock pins no wheel for CPython 3.12 on x86_64"),
    ],
)
def test_why_there_is_no_wheel(tags: tuple[str, ...], reason: str, target: Target) -> None:
    assert why_no_wheel(wheels(*tags), target) == reason
    choice = choose_file(dist(*tags), target, target_tags(target))
    assert (choice.policy, choice.file, choice.reason, choice.problem) == (Policy.SDIST, SDIST, reason, "")
    assert (
        choose_file(dist(*tags, sdist=None), target, target_tags(target)).problem == f"{reason}, and there is no sdist"
    )


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("py3-none-any", "the lock pins a pure wheel"),
        (f"cp312-cp312-{LINUX}", "the lock pins a binary wheel within the target's glibc"),
    ],
)
def test_third_party_comes_from_its_wheel(tag: str, reason: str, target: Target) -> None:
    choice = choose_file(dist(tag), target, target_tags(target))
    assert choice.policy is Policy.WHEEL
    assert choice.file == wheels(tag)[0]
    assert (choice.reason, choice.problem) == (reason, "")


def test_first_party_comes_from_its_sdist(target: Target) -> None:
    choice = choose_file(dist("py3-none-any"), target, target_tags(target), first_party=True)
    assert (choice.policy, choice.file) == (Policy.SDIST, SDIST)
    assert choice.reason == "first-party: compiled from its own source"


def test_a_dist_can_be_switched_to_its_sdist(target: Target) -> None:
    choice = choose_file(dist("py3-none-any"), target, target_tags(target), compile_it="elpack.toml says so")
    assert (choice.policy, choice.file) == (Policy.SDIST, SDIST)
    assert choice.reason == "switched to sdist: elpack.toml says so"
    without = choose_file(dist("py3-none-any", sdist=None), target, target_tags(target), compile_it="so")
    assert without.file is None
    assert without.problem == "switched to sdist: so, and there is no sdist"

"""Base images: definitions that ship, whether one fits, and the lock of digests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import el9

if TYPE_CHECKING:
    from elpack.model import Target

from elpack.errors import ImageError
from elpack.images.bases import (
    PinnedBase,
    base_for,
    definition,
    known_bases,
    pinned,
    pins_text,
    read_pins,
    split_reference,
)
from elpack.targets import TargetChoice, known_targets, pythons, resolve_target

INDEX, AMD64 = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
PIN = PinnedBase("registry.example.org/bases/python:3.12", INDEX, {"x86_64": AMD64})


def standin() -> Target:
    return resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")


@pytest.mark.parametrize("target", known_targets())
def test_each_target_has_a_base_for_one_of_its_pythons(target: str) -> None:
    defaults = [definition(name) for name in known_bases() if target in definition(name).targets]
    (own,) = (base for base in defaults if not base.pypy)
    (pypy,) = (base for base in defaults if base.pypy)
    assert own.version in pythons(target)
    assert pypy.standin == own.standin


@pytest.mark.parametrize("name", known_bases())
def test_a_definition_names_host_and_tag(name: str) -> None:
    assert split_reference(definition(name).reference)[1]


def test_the_release_chooses_else_the_target() -> None:
    assert base_for(el9(), {}).name == "ubi9-minimal"
    assert base_for(el9(), {"el9": "python-slim"}).name == "python-slim"
    assert base_for(standin(), {"el9": "python-slim"}).name == "el9-standin"


def test_all_that_does_not_fit_is_told_at_once() -> None:
    target = replace(el9("3.11", "x86_64"), arch="s390x", glibc=(2, 99))
    with pytest.raises(ImageError) as caught:
        base_for(target, {"el9": "el9-standin"})
    found = [problem.what for problem in caught.value.problems]
    assert [what.partition(",")[0] for what in found] == [
        "el9-standin is not for s390x",
        "el9-standin has glibc 2.36",
        "el9-standin is a stand-in",
    ]
    assert all(problem.fix for problem in caught.value.problems)


def test_another_python_is_refused_with_what_would_fit() -> None:
    with pytest.raises(ImageError, match=r"has Python 3\.12, not 3\.11") as caught:
        base_for(standin(), {"el9-standin": "python-slim"})
    assert caught.value.problems[0].fix == "one of: el9-standin"


def test_an_unknown_base_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ImageError, match="no base image is called alpine") as caught:
        base_for(el9(), {"el9": "alpine"})
    assert "python-slim" in caught.value.problems[0].fix


def test_what_is_not_pinned_is_refused_with_what_to_type() -> None:
    with pytest.raises(ImageError) as caught:
        pinned(definition("python-slim"), {}, "x86_64")
    assert caught.value.problems[0].fix == "elpack image pin python-slim"
    with pytest.raises(ImageError, match="build containers/bases/ubi9-minimal and push it"):
        pinned(definition("ubi9-minimal"), {}, "x86_64")
    with pytest.raises(ImageError, match="not found for aarch64, but for x86_64"):
        pinned(definition("python-slim"), {"python-slim": PIN}, "aarch64")
    assert pinned(definition("python-slim"), {"python-slim": PIN}, "x86_64") == (PIN, AMD64)


def test_the_lock_is_read_as_it_was_written() -> None:
    pins = {"ubi9-minimal": PIN, "python-slim": replace(PIN, platforms={"x86_64": AMD64, "aarch64": INDEX})}
    assert read_pins(pins_text(pins)) == pins


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[python-slim", 1),
        ("[alpine]\n", 3),  # no such base, no reference, no index
        (f'[python-slim]\nreference = "python"\nindex = "{INDEX[:-1]}"\nmore = 1\n', 3),
        (f'[python-slim]\nreference = "a.b/c:1"\nindex = "{INDEX}"\nplatforms.x86_64 = "latest"\n', 1),
    ],
)
def test_all_mistakes_of_a_lock_are_told(text: str, problems: int) -> None:
    with pytest.raises(ImageError) as caught:
        read_pins(text)
    assert len(caught.value.problems) == problems


@pytest.mark.parametrize(
    "text", ["python:3.12", "docker.io/python", f"docker.io/library/python@{INDEX}", "docker.io/Library/python:1", ""]
)
def test_a_reference_that_an_engine_would_complete_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        split_reference(text)

"""PEP 508 as RPM's Requires: every operator, every corner, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from elpack.requirements import applicable, holds, provided_version, rpm_requirements, spelt_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target

# X stands for python3.12dist(x)
OPERATORS = [
    ("", "X"),
    (">=1.2", "X >= 1.2"),
    (">=1.0.0", "X >= 1"),
    (">=0", "X >= 0"),
    (">=0.0", "X >= 0"),
    (">=1.0a1", "X >= 1~a1"),
    (">=1.0.dev3", "X >= 1~~dev3"),
    (">=1.0.post1", "X >= 1^post1"),
    (">=1!2.0", "X >= 1:2"),
    ("<=1.0", "X <= 1"),
    ("<=1.0rc2", "X <= 1~rc2"),
    ("<=1.0.post1", "X <= 1^post1"),
    # PEP 440: `<V` leaves the pre-releases of V out, unless V is one itself
    ("<1.0", "X < 1~~"),
    ("<2", "X < 2~~"),
    ("<1.0b2", "X < 1~b2"),
    ("<1.0.dev1", "X < 1~~dev1"),
    ("<1.0.post1", "X < 1^post1"),
    ("<1!2", "X < 1:2~~"),
    # and `>V` the post-releases and local versions of V, unless V is a post-release itself
    (">1.0", "X > 1.0"),
    (">1.2.0", "X > 1.2.0"),
    (">0", "X > 0.0"),
    (">1.0a1", "X > 1~a1"),
    (">1.0.dev1", "X > 1~~dev1"),
    (">1.0.post1", "X > 1^post1"),
    ("==1.0", "X = 1"),
    ("==v1.0-1", "X = 1^post1"),
    ("==1.0c1", "X = 1~rc1"),
    ("==1!2", "X = 1:2"),
    ("===1.0", "X = 1"),
    ("!=1.0", "(X < 1 or X > 1)"),
    ("!=1.0rc1", "(X < 1~rc1 or X > 1~rc1)"),
    # a prefix takes in the pre-releases of its first version, and none of the next prefix
    ("==1.*", "(X >= 1~~ with X < 2~~)"),
    ("==1.0.*", "(X >= 1~~ with X < 1.1~~)"),
    ("==1.2.0.*", "(X >= 1.2~~ with X < 1.2.1~~)"),
    ("==1.9.*", "(X >= 1.9~~ with X < 1.10~~)"),
    ("==1!2.*", "(X >= 1:2~~ with X < 1:3~~)"),
    ("!=1.*", "(X < 1~~ or X >= 2~~)"),
    ("!=1.0.*", "(X < 1~~ or X >= 1.1~~)"),
    ("~=1.4", "(X >= 1.4 with X < 2~~)"),
    ("~=1.4.0", "(X >= 1.4 with X < 1.5~~)"),
    ("~=1.0.0.0", "(X >= 1 with X < 1.0.1~~)"),
    ("~=1.4a2", "(X >= 1.4~a2 with X < 2~~)"),
    ("~=1.4.post3", "(X >= 1.4^post3 with X < 2~~)"),
    ("~=2!0.9", "(X >= 2:0.9 with X < 2:1~~)"),
]

SEVERAL = [
    (">=3.4,<47", "(X >= 3.4 with X < 47~~)"),
    ("<47,>=3.4", "(X >= 3.4 with X < 47~~)"),
    (">=1.0,>=1", "X >= 1"),
    ("~=1.4,!=1.4.2", "(X >= 1.4 with X < 2~~ with (X < 1.4.2 or X > 1.4.2))"),
    ("!=2,!=1,>0.5,<3", "(X > 0.5.0 with X < 3~~ with (X < 1 or X > 1) with (X < 2 or X > 2))"),
    ("==1.*,!=1.5.*", "(X >= 1~~ with X < 2~~ with (X < 1.5~~ or X >= 1.6~~))"),
    ("==1,==2", "(X = 1 with X = 2)"),  # nothing satisfies it, and nothing satisfies this
]

# What Provides do not spell whole is rounded outwards, to the nearest spelling.
ROUNDED = [
    (">=1.0a1.dev2", "X >= 1~a1"),
    (">1.0a1.dev2", "X >= 1~a1"),
    ("<1.0a1.dev2", "X < 1~a1"),
    ("<=1.0a1.dev2", "X <= 1~a1"),
    (">=1.0a1.post2", "X >= 1~a1"),
    (">1.0a1.post2", "X > 1~a1"),
    ("<1.0a1.post2", "X <= 1~a1"),
    ("<=1.0a1.post2.dev3", "X <= 1~a1"),
    (">=1.0.post1.dev2", "X >= 1^post1"),
    (">1.0.post1.dev2", "X >= 1^post1"),
    ("<1.0.post1.dev2", "X < 1^post1"),
    ("~=1.0.post1.dev2", "(X >= 1^post1 with X < 2~~)"),
    ("==1.0a1.dev2", "X = 1~a1"),
    ("==1.0+el.9", "X = 1"),
    ("===1.0+el.9", "X = 1"),
    ("!=1.0+el.9", "X"),
    ("!=1.0a1.dev2", "X"),
    (">=1,!=1.0+el.9", "X >= 1"),
]


def said(specifier: str) -> str:
    (text,) = rpm_requirements(Requirement(f"x{specifier}"), "3.12")
    return text.replace("python3.12dist(x)", "X")


@pytest.mark.parametrize(("specifier", "expression"), [*OPERATORS, *SEVERAL, *ROUNDED])
def test_specifiers(specifier: str, expression: str) -> None:
    assert said(specifier) == expression


@pytest.mark.parametrize(
    ("text", "expressions"),
    [
        ("Zope.Interface_X>=5", ("python3.11dist(zope-interface-x) >= 5",)),
        (
            "autobahn[All,twisted_x]>=26.6.1; python_version > '99'",  # the marker is not its matter
            (
                "python3.11dist(autobahn) >= 26.6.1",
                "python3.11dist(autobahn[all]) >= 26.6.1",
                "python3.11dist(autobahn[twisted-x]) >= 26.6.1",
            ),
        ),
        ("a[b]", ("python3.11dist(a)", "python3.11dist(a[b])")),
    ],
)
def test_names_and_extras(text: str, expressions: tuple[str, ...]) -> None:
    assert rpm_requirements(Requirement(text), "3.11") == expressions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x @ https://example.com/x-1.tar.gz", r"^x @ https://example.com/x-1.tar.gz: an RPM cannot require .* a URL"),
        ("x @ https://example.com/%(id)", r"cannot require a dist from a URL"),
        ("x===weird", r"^===weird: 'weird' is not a version"),
        ("x===1.0.*", r"'1.0.\*' is not a version"),
        ("x===%{lua:x}", r"is not a version"),
    ],
)
def test_what_no_rpm_can_be_asked_for_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rpm_requirements(Requirement(text), "3.12")


@pytest.mark.parametrize("python", ["", "3", "3.12\n", "3.12.4", "%(id)", "x"])
def test_a_python_that_is_none(python: str) -> None:
    with pytest.raises(ValueError, match="is not a Python version"):
        rpm_requirements(Requirement("x"), python)


@pytest.mark.parametrize(
    ("version", "text", "whole"),
    [
        ("1", "1", True),
        ("1.30.0", "1.30", True),
        ("1.0.5", "1.0.5", True),
        ("0.0.0", "0", True),
        ("10", "10", True),
        ("3.0a1", "3~a1", True),
        ("1.0.dev2", "1~~dev2", True),
        ("2.9.0.post0", "2.9^post0", True),
        ("1!2.0", "1:2", True),
        ("1.0+el.3", "1", False),
        ("1.0a1.dev2", "1~a1", False),
        ("1.0a1.post2", "1~a1", False),
        ("1.0.post1.dev2", "1~~dev2", False),
    ],
)
def test_versions_in_provides(version: str, text: str, whole: bool) -> None:  # noqa: FBT001 - an expected value
    assert provided_version(Version(version)) == text
    assert spelt_whole(Version(version)) is whole


REQUIRES = (
    "always",
    'old; python_version < "3.9"',
    'new; python_version >= "3.11"',
    'tx; extra == "Twisted_X"',
    'both; python_version >= "3.11" and extra == "twisted-x"',
    'never; python_version < "3.9" and extra == "twisted-x"',
    'any; extra == "twisted-x" or os_name == "posix"',
    'not-then; extra != "twisted-x"',
    "malformed >>> 1",
    'undefined; os_name ~= "posix"',
    'lock-only; "a" in extras',
)


@pytest.mark.parametrize(
    ("extra", "names"),
    [("", ["always", "new", "any", "not-then"]), ("twisted-x", ["tx", "both"]), ("Twisted.X", ["tx", "both"])],
)
def test_what_applies(make_target: Callable[[str, str], Target], extra: str, names: list[str]) -> None:
    environment = make_target("3.12", "x86_64").marker_environment()
    assert [one.name for one in applicable(REQUIRES, environment, extra)] == names


def test_an_extra_that_is_not_declared_asks_for_nothing(make_target: Callable[[str, str], Target]) -> None:
    assert applicable(REQUIRES, make_target("3.12", "x86_64").marker_environment(), "nobody") == []


def test_the_target_s_environment_decides(make_target: Callable[[str, str], Target]) -> None:
    arm = Requirement('x; platform_machine == "aarch64" and python_full_version < "3.12"')
    answers = {
        (python, arch): holds(arm, make_target(python, arch).marker_environment())
        for python in ("3.11", "3.12")
        for arch in ("x86_64", "aarch64")
    }
    assert [key for key, answer in answers.items() if answer] == [("3.11", "aarch64")]

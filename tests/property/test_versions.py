"""PEP 440 versions keep their order and stay distinct as RPM versions, judged by rpm's own comparison."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from elpack.naming import Evr, rpm_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Small numbers and few shapes: what may collide or change places is what lies close together.
NUMBERS = st.integers(0, 3) | st.sampled_from((9, 10, 20261103))


def _suffix(form: str) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), NUMBERS.map(form.format))


@st.composite
def versions(draw: st.DrawFn) -> Version:
    release = ".".join(map(str, draw(st.lists(NUMBERS, min_size=1, max_size=5))))
    pre = draw(st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(("a", "b", "rc")), NUMBERS)))
    segments = st.sampled_from(("a", "b", "el", "z")) | NUMBERS.map(str)
    local = draw(st.one_of(st.just(""), st.lists(segments, min_size=1, max_size=3).map(".".join).map("+{}".format)))
    epoch = draw(st.sampled_from(("", "", "1!", "2!")))
    return Version(f"{epoch}{release}{pre}{draw(_suffix('.post{}'))}{draw(_suffix('.dev{}'))}{local}")


def compared(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """Return what rpm says of each pair of versions, -1, 0 or 1; one process for all of them."""
    text = "\n".join(f"{one} {other}" for one, other in pairs)
    # rpm reads its expression from the command line only, so the pairs come as a file on standard input
    lua = 'for l in io.lines("/dev/stdin") do local a,b = l:match("(%S+) (%S+)") print(rpm.vercmp(a, b) .. " ") end'
    done = subprocess.run(
        ("rpm", "--eval", f"%{{lua: {lua}}}"), input=text, capture_output=True, text=True, check=True, timeout=60
    )
    return [int(line) for line in done.stdout.split()]


def _sign(one: Version, other: Version) -> int:
    return (one > other) - (one < other)


def test_the_judge_itself(needs: Callable[..., None]) -> None:
    needs("rpm")
    assert compared([("1.0", "1.0"), ("1.0~a", "1.0"), ("1.0^a", "1.0"), ("1.9", "1.10")]) == [0, -1, 1, -1]


@settings(max_examples=40)
@given(st.lists(versions(), min_size=12, max_size=40))
@example(
    [Version(text) for text in ("1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0a1.post1", "1.0rc1", "1.0", "1.0+a", "1.1")]
)
@example(
    [Version(text) for text in ("1.0.post1.dev1", "1.0.post1", "1.0+1", "1.0+a", "1.0+a.1", "1.0.0.1", "1.0.0.1a1")]
)
@example([Version(text) for text in ("1.0a1.post1", "1.0a1.post1.dev2", "1.0a1+x", "1.0a1.post1+x", "1.0a2.dev0")])
def test_rpm_orders_as_pep_440_does(needs: Callable[..., None], found: list[Version]) -> None:
    needs("rpm")
    pairs = [(one, other) for one in found for other in found if one.epoch == other.epoch]
    said = compared([(rpm_version(one), rpm_version(other)) for one, other in pairs])
    wrong = [
        f"{one} and {other}: rpm says {sign} of {rpm_version(one)} and {rpm_version(other)}"
        for (one, other), sign in zip(pairs, said, strict=True)
        if sign != _sign(one, other)
    ]
    assert wrong == []


@given(versions(), versions())
def test_equal_versions_and_no_others_are_spelt_alike(one: Version, other: Version) -> None:
    evrs = [str(Evr(version.epoch, rpm_version(version), "1.el9")) for version in (one, other)]
    assert (evrs[0] == evrs[1]) == (one == other)


@given(versions())
def test_an_rpm_version_needs_no_quotes_and_holds_no_dash(version: Version) -> None:
    assert set(rpm_version(version)) <= set("0123456789.~^abcdefghijklmnopqrstuvwxyz")


@given(st.from_regex(r"[a-z]+[0-9]+|[0-9]+[a-z]+", fullmatch=True))
def test_a_local_segment_that_rpm_would_take_apart_is_refused(segment: str) -> None:
    version = Version(f"1.0+{segment}")
    with pytest.raises(ValueError, match=r"rpm cannot order local version") as refusal:
        rpm_version(version)
    assert str(version) in str(refusal.value)

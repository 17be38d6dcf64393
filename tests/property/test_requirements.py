"""RPM's ranges hold for exactly the versions that packaging accepts, judged by rpm's own comparison.

The exceptions are few. `===` asks for a spelling, and Provides have one for 1.0 and 1.0.0; unit tests show it. What
Provides do not spell whole (`spelt_whole`) has the laws of the second test.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tests.property.test_versions import compared, versions

from elpack.requirements import applicable, holds, parsed, provided_version, rpm_requirements, spelt_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from elpack.model import Target

CAPABILITY = "python3.12dist(x)"
COMPARE = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
# Few and close together, so that a version often lies on a bound or beside it.
NUMBERS = st.sampled_from((0, 0, 1, 1, 2, 9, 10))
RELEASES = st.lists(NUMBERS, min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
EPOCHS = st.sampled_from(("", "", "", "1!"))
SUFFIXES = st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(("a", "rc", ".post", ".dev")), NUMBERS))
WHOLE = st.builds("{}{}{}".format, EPOCHS, RELEASES, SUFFIXES)
PREFIXES = st.builds("{}{}{}.*".format, st.sampled_from(("==", "!=")), EPOCHS, RELEASES)


def _specifier(sign: str, bound: str) -> str:
    if sign in {"==", "!="}:
        return f"{sign}{bound}"
    public = bound.partition("+")[0]  # other operators take no local version, and ~= no single number
    return f"{'>=' if sign == '~=' and len(Version(bound).release) == 1 else sign}{public}"


def _specifiers(bounds: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from((">=", "<=", ">", "<", "~=", "==", "!="))
    return st.one_of(*[st.builds(_specifier, signs, bounds)] * 5, PREFIXES)


def specifier_sets(bounds: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(_specifiers(bounds), min_size=1, max_size=3).map(",".join)


CORNERS = ["<1.0", ">1.0", "<1.0.post1", ">1.0.post1", ">1.0a1", ">1.0.dev1", "<1.0a1", "==1.*", "!=1.0.*", "~=1.0"]
BESIDE_THEM = ["0.9.post1", "1.dev1", "1.dev2", "1a1", "1a2", "1rc1", "1", "1.post0", "1.post1", "1.post2"]
BESIDE_THEM += ["1.0.0.1.dev0", "1.0.1a1", "1.0.9", "1.1.dev0", "1.1", "2.dev0", "2a1", "2", "1!0"]

Ranges = list[list[tuple[str, str]]]
"""All of these must hold; one holds when one of its operators and versions does."""


def ranges_of(text: str) -> Ranges:
    if text == CAPABILITY:
        return []
    inner = text.removeprefix("(").removesuffix(")") if " with " in text else text
    clauses = [
        re.split(r" or ", clause.strip("()") if " or " in clause else clause) for clause in inner.split(" with ")
    ]
    found = []
    for clause in clauses:
        words = [one.removeprefix("python3.12dist(x").removeprefix(")").split() for one in clause]
        found.append([(sign, version) for sign, version in words])
    return found


def accepted(found: Sequence[tuple[str, Version]]) -> list[bool]:
    """Tell for each expression and version whether the Provides of that version satisfy it, by rpm's comparison."""
    parsed_texts = [(ranges_of(text), provided_version(version)) for text, version in found]
    pairs = [(have, bound) for clauses, have in parsed_texts for clause in clauses for _, bound in clause]
    signs = iter(compared(pairs))
    return [
        all([any([COMPARE[sign](next(signs), 0) for sign, _ in clause]) for clause in clauses])  # noqa: C419 - all are asked
        for clauses, _ in parsed_texts
    ]


def said(specifiers: str) -> str:
    (text,) = rpm_requirements(Requirement(f"x{specifiers}"), "3.12")
    return text


def test_the_judge_itself(needs: Callable[..., None]) -> None:
    needs("rpm")
    assert ranges_of(f"({CAPABILITY} >= 1 with ({CAPABILITY} < 2 or {CAPABILITY} > 2))") == [
        [(">=", "1")],
        [("<", "2"), (">", "2")],
    ]
    either = f"({CAPABILITY} < 2 or {CAPABILITY} > 2)"
    questions = [(CAPABILITY, "1"), (f"{CAPABILITY} >= 2", "1"), (either, "2"), (either, "2a1"), (either, "1!1")]
    assert accepted([(text, Version(version)) for text, version in questions]) == [True, False, False, True, True]


@settings(max_examples=60)
@given(st.lists(specifier_sets(WHOLE), min_size=8, max_size=16), st.lists(WHOLE, min_size=8, max_size=24))
@example(CORNERS, BESIDE_THEM)
def test_a_range_holds_when_the_specifier_does(needs: Callable[..., None], sets: list[str], found: list[str]) -> None:
    needs("rpm")
    asked = [(text, Version(version)) for text in sets for version in found]
    answers = accepted([(said(text), version) for text, version in asked])
    wrong = [
        f"{text} and {version}: {said(text)} {'holds' if answer else 'does not hold'} for {provided_version(version)}"
        for (text, version), answer in zip(asked, answers, strict=True)
        if answer != SpecifierSet(text).contains(version, prereleases=True)
    ]
    assert wrong == []


@settings(max_examples=60)
@given(st.lists(specifier_sets(versions().map(str)), min_size=8, max_size=16), st.lists(WHOLE, min_size=8, max_size=24))
@example(
    [
        ">=1.0a1.post2",
        "<=1.0a1.dev2",
        ">1.0a1.dev2",
        "<1.0a1.post2",
        "==1.0+el.1",
        "!=1.0+el.1",
        ">1.0.post1.dev2",
        "==1.0.post1.dev2",
    ],
    ["1.0.dev2", "1.0a1", "1.0", "1.0.post1"],
)
def test_bounds_that_provides_do_not_spell_let_in_their_nearest_spelling_and_no_more(
    needs: Callable[..., None], sets: list[str], found: list[str]
) -> None:
    needs("rpm")
    asked = [(text, Version(version)) for text in sets for version in found]
    for (text, version), answer in zip(
        asked, accepted([(said(text), version) for text, version in asked]), strict=True
    ):
        if SpecifierSet(text).contains(version, prereleases=True):
            assert answer, f"{said(text)} refuses {provided_version(version)}, which {text} accepts"
        elif answer:
            bounds = {bound for clause in ranges_of(said(text)) for _, bound in clause}
            assert provided_version(version) in bounds, f"{said(text)} lets {version} in"
            assert not all(spelt_whole(Version(one.version)) for one in SpecifierSet(text) if ".*" not in one.version)


@given(versions(), versions())
def test_whole_versions_are_spelt_alike_when_equal_and_only_then(one: Version, other: Version) -> None:
    if spelt_whole(one) and spelt_whole(other):
        assert (provided_version(one) == provided_version(other)) == (one == other)
    if one == other:
        assert provided_version(one) == provided_version(other)


NONSENSE = st.text(st.sampled_from("ab1.-_[](),;<>=!~*+@'\" \n%{}$\\:/é"), max_size=12)
MARKERS = st.builds(
    "{} {} {}".format,
    st.sampled_from(
        ("python_version", "python_full_version", "os_name", "extra", "extras", "platform_release", "'a'", "'1'", '""')
    ),
    st.sampled_from(("==", "!=", "<", ">=", "~=", "===", "in", "not in")),
    st.sampled_from(("'3.9'", "'weird'", "'3.*'", "''", "extra", "python_version", "os_name", "platform_version")),
)


@settings(max_examples=400)
@given(st.one_of(NONSENSE, NONSENSE.map("x{}".format), st.builds("x{}; {}".format, specifier_sets(WHOLE), MARKERS)))
def test_nothing_from_outside_crashes_or_leaves_the_grammar(el9_targets: list[Target], text: str) -> None:
    environment = el9_targets[0].marker_environment()
    applicable([text], environment, "a")
    for requirement in parsed([text]):
        holds(requirement, environment)
        try:
            expressions = rpm_requirements(requirement, "3.12")
        except ValueError:
            continue
        for expression in expressions:
            plain = re.sub(r"python3\.12dist\([a-z0-9-]+(\[[a-z0-9-]+\])?\)", "X", expression)
            assert re.fullmatch(r"[X0-9a-z.:~^<>=() ]+", plain), expression

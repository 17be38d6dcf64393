"""elpack's requirements and Provides beside those of rpm's own generator: the same, or different for a known reason."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version
from tests.contract import distdeps
from tests.contract.differences import ALWAYS_TRUE, CLAUSES, WHOLE, Difference, explain
from tests.contract.distdeps import Metadata, clauses
from tests.contract.record_requirements import RECORD
from tests.property.test_requirements import specifier_sets
from tests.property.test_versions import versions

from elpack.requirements import applicable, holds, provided_version, rpm_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.model import Target

# To shrink a failure takes minutes, for each try starts processes; what is wrong is listed one by one anyway.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
SHARED = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """Return a folder for the generator's input; skips on a laptop without the generator, and fails in CI."""
    if why := distdeps.missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not installed: {why}")
    return tmp_path


@pytest.fixture(scope="session")
def environment(el9_targets: list[Target]) -> Mapping[str, str]:
    return el9_targets[0].marker_environment()


def theirs(folder: Path, dists: list[Metadata]) -> list[list[str]]:
    """Return the generator's Requires without the interpreter's."""
    answers = distdeps.ask(folder, distdeps.REQUIRES, dists)
    return [[line for line in lines if line != "python(abi) = 3.12"] for lines in answers]


def ours(dist: Metadata, environment: Mapping[str, str]) -> list[str]:
    requirements = applicable(dist.requires_dist, environment, dist.extra)
    return sorted({text for one in requirements for text in rpm_requirements(one, "3.12")})


def kinds(dist: Metadata, their_lines: list[str], environment: Mapping[str, str]) -> Counter[str]:
    """Return how often each kind of difference occurs in one dist; what begins with '?' is not explained."""
    found: Counter[str] = Counter()
    them, us = clauses(their_lines), clauses(ours(dist, environment))
    for name in sorted(them.keys() | us.keys()):
        if name not in us and dist.extra and _holds_anyway(name, dist, environment):
            found[ALWAYS_TRUE.kind] += 1
        elif name not in us or name not in them:
            found[f"? {name} is only {'theirs' if name in them else 'ours'}"] += 1
        else:
            found.update(explain(them[name], us[name]))
    return found


def _holds_anyway(name: str, dist: Metadata, environment: Mapping[str, str]) -> bool:
    known = [one for one in applicable(dist.requires_dist, environment) if one.marker is not None]
    return name in clauses([text for one in known for text in rpm_requirements(one, "3.12")])


@pytest.mark.parametrize("difference", CLAUSES, ids=lambda one: one.kind)
def test_a_difference_in_versions_still_occurs(
    generator: Path, environment: Mapping[str, str], difference: Difference
) -> None:
    dist = Metadata(requires_dist=(difference.example,))
    (lines,) = theirs(generator, [dist])
    assert difference.kind in kinds(dist, lines, environment)


@pytest.mark.parametrize("difference", WHOLE, ids=lambda one: one.kind)
def test_a_difference_in_whole_requirements_still_occurs(
    generator: Path, environment: Mapping[str, str], difference: Difference
) -> None:
    dist = Metadata(requires_dist=(difference.example,))
    (lines,) = theirs(generator, [dist])
    try:
        own = ", ".join(ours(dist, environment))
    except ValueError:
        own = "ValueError"
    them = ", ".join(lines)
    them = "failed" if difference.pattern.startswith("failed ->") and them.startswith("failed") else them
    assert f"{them} -> {own}" == difference.pattern


def test_a_metapackage_s_other_requirements_still_occur(generator: Path, environment: Mapping[str, str]) -> None:
    dist = Metadata(requires_dist=(ALWAYS_TRUE.example, 'y; extra == "e"'), extra="e")
    (lines,) = theirs(generator, [dist])
    assert kinds(dist, lines, environment) == {ALWAYS_TRUE.kind: 1}
    assert "python3.12dist(y)" in lines


def test_one_expression_of_theirs_may_be_several_of_ours(generator: Path, environment: Mapping[str, str]) -> None:
    dist = Metadata(requires_dist=("x>=1", 'x!=2; python_version > "3"'))
    (lines,) = theirs(generator, [dist])
    assert lines == ["((python3.12dist(x) < 2 or python3.12dist(x) > 2) with python3.12dist(x) >= 1)"]
    assert ours(dist, environment) == [
        "(python3.12dist(x) < 2 or python3.12dist(x) > 2)",
        "python3.12dist(x) >= 1",
    ]
    assert kinds(dist, lines, environment) == {}


def closure() -> list[Metadata]:
    """Return every dist of crossbar's closure, and each extra that it knows, the developers' ones included."""
    values: dict[str, dict[str, Any]] = json.loads(RECORD.read_text())
    found = []
    for name, one in values.items():
        texts = tuple(one["requires_dist"])
        extras = re.findall(r"""extra *== *["']([^"']+)["']""", " ".join(texts))
        found += [Metadata(name, one["version"], texts, extra) for extra in ("", *sorted(set(extras)))]
    return found


def test_the_whole_closure(generator: Path, environment: Mapping[str, str], data: Path) -> None:
    dists = closure()
    found: Counter[str] = Counter()
    for dist, lines in zip(dists, theirs(generator, dists), strict=True):
        assert not any(line.startswith("failed") for line in lines), (dist, lines)
        found.update(kinds(dist, lines, environment))
    assert [kind for kind in found if kind.startswith("?")] == []
    page = (data.parents[1] / "docs" / "reference" / "requirements.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")] for row in page.splitlines()]
    told = {row[1]: row[-2] for row in rows if len(row) > 3}
    every = [one.kind for one in (*CLAUSES, *WHOLE, ALWAYS_TRUE)]
    assert {kind: told.get(kind) for kind in every} == {kind: str(found[kind]) for kind in every}, "renew the table"


def test_every_requirement_of_the_closure_without_its_marker(generator: Path, environment: Mapping[str, str]) -> None:
    texts = sorted({text.partition(";")[0].strip() for dist in closure() for text in dist.requires_dist})
    dists = [Metadata(requires_dist=(text,)) for text in texts]
    found = {
        dist.requires_dist: [kind for kind in kinds(dist, lines, environment) if kind.startswith("?")]
        for dist, lines in zip(dists, theirs(generator, dists), strict=True)
    }
    assert len(found) > 500
    assert {texts: unexplained for texts, unexplained in found.items() if unexplained} == {}


def test_the_provides_of_the_closure(generator: Path) -> None:
    dists = [dist for dist in closure() if not dist.extra]
    for dist, lines in zip(dists, distdeps.ask(generator, distdeps.PROVIDES, dists), strict=True):
        assert f"python3.12dist({dist.name}) = {provided_version(Version(dist.version))}" in lines


@settings(max_examples=12, phases=UNSHRUNK, suppress_health_check=SHARED)
@given(st.lists(versions(), min_size=20, max_size=40))
def test_provides_of_any_version(generator: Path, found: list[Version]) -> None:
    dists = [Metadata(version=str(version)) for version in found]
    for version, lines in zip(found, distdeps.ask(generator, distdeps.PROVIDES, dists), strict=True):
        assert lines == [f"python3.12dist(dist) = {provided_version(version)}"]


EXTRAS = st.sampled_from(("", "", "[one]", "[One,two]"))
MARKERS = st.sampled_from(
    ("", "", '; python_version < "3.12"', '; python_version >= "3.11" and os_name == "posix"', '; extra == "one"')
)
REQUIREMENTS = st.builds("{}{}{}".format, EXTRAS, specifier_sets(versions().map(str)), MARKERS)


@settings(max_examples=20, phases=UNSHRUNK, suppress_health_check=SHARED)
@given(st.lists(REQUIREMENTS, min_size=20, max_size=40))
def test_any_requirement(generator: Path, environment: Mapping[str, str], found: list[str]) -> None:
    dist = Metadata(requires_dist=tuple(f"x{number}{text}" for number, text in enumerate(found)))
    (lines,) = theirs(generator, [dist])
    unexplained = [kind for kind in kinds(dist, lines, environment) if kind.startswith("?")]
    assert unexplained == []
    assert len(clauses(lines)) >= sum(holds(Requirement(text), environment) for text in dist.requires_dist)

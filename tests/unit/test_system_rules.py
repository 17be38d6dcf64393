"""The rules of layout `system`: what they say, and that they are silent when there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.version import Version
from tests.unit.plans import HATCHLING, HEAD, OWN, Case, Dist

from elpack.checks import RULES
from elpack.checks.system_rules import (
    build_with_another,
    replaces_nothing,
    replaces_the_targets,
    unknown_extra,
    unsatisfied_extra,
)
from elpack.errors import Problem
from elpack.model import CoreMetadata, Layout
from elpack.naming import dist_name, rpm_name
from elpack.plan.make import make_plan
from elpack.plan.system import settle
from elpack.targets.shipped import Shipped

RELEASE = (
    HEAD + 'layout = "system"\n[library]\nname = "own"\nlock = "uv.lock"\n[first-party]\nown = {}\n[targets.el9]\n'
)
FAST = '[system.extras]\nown = ["fast"]\n'
LIB = Dist("lib", "0.9")


def own(*requires: str, extras: tuple[str, ...] = ("fast",)) -> Dist:
    metadata = CoreMetadata("own", "1.5", licence_expression="MIT", extras=extras, requires_dist=requires)
    return replace(OWN, metadata=metadata)


def case(*closure: Dist, release: str = RELEASE) -> Case:
    return Case(closure=closure, release=release, layout=Layout.SYSTEM)


def test_what_the_planner_refuses_is_a_finding() -> None:
    refused = (Problem("one"), Problem("two"))
    inputs = replace(case(own()).inputs(), refused=refused)
    assert tuple(replaces_the_targets(make_plan(inputs), inputs)) == refused
    assert replaces_the_targets in RULES


def test_an_extra_whose_requirements_the_lock_does_not_hold() -> None:
    of = case(
        own("lib; extra == 'fast'", "ghost>=1; extra == 'fast'", "gone; extra == 'other'"), LIB, release=RELEASE + FAST
    )
    inputs = of.inputs()
    (problem,) = unsatisfied_extra(make_plan(inputs), inputs)
    assert str(problem) == (
        "elpack.toml: system.extras.own: extra fast requires ghost, which the release does not hold\n"
        "  fix: leave fast out"
    )
    without_lock = replace(of, release=of.release.replace('lock = "uv.lock"\n', "")).inputs()
    assert list(unsatisfied_extra(make_plan(without_lock), without_lock)) == []


def test_an_extra_whose_requirements_the_target_ships() -> None:
    inputs = case(own("lib; extra == 'fast'"), LIB, release=RELEASE + FAST).inputs()
    theirs = Shipped(dist_name("lib"), rpm_name("python3.12-lib"), "appstream", Version("1.0"), enabled=True)
    settled = settle(inputs, {theirs.dist: theirs})
    assert settled.left == {"lib"}
    assert list(unsatisfied_extra(make_plan(settled), settled)) == []


@pytest.mark.parametrize(("known", "fix"), [(("quick", "all"), "one of: all, quick"), ((), "one of: none")])
def test_an_extra_that_the_dist_has_not(known: tuple[str, ...], fix: str) -> None:
    inputs = case(own(extras=known), release=RELEASE + FAST).inputs()
    (problem,) = unknown_extra(make_plan(inputs), inputs)
    assert str(problem) == f"elpack.toml: system.extras.own: own has no extra fast\n  fix: {fix}"


@pytest.mark.parametrize("spelling", ["fast", "Fast", "FAST"])
def test_an_extra_is_known_in_any_spelling(spelling: str) -> None:
    inputs = case(own(extras=(spelling,)), release=RELEASE + FAST).inputs()
    assert list(unknown_extra(make_plan(inputs), inputs)) == []


def built_with(*requires: str, overrides: dict[str, str] | None = None, layout: Layout = Layout.SYSTEM) -> list[str]:
    """Return the findings about a library that is built with these, while the closure has lib 0.9."""
    of = replace(case(own("lib"), LIB), overrides=overrides or {}, layout=layout)
    inputs = replace(of.inputs(), build_requires={OWN.filename: requires})
    return [str(problem) for problem in build_with_another(make_plan(inputs), inputs)]


def test_a_build_requirement_that_the_closure_holds_in_another_version() -> None:
    (message,) = built_with("lib>=1", "hatchling>=99")
    assert message == (
        "own: is built with lib>=1, the closure has 0.9\n"
        "  fix: lock for a version that serves both, or take layout stack"
    )


@pytest.mark.parametrize(
    "requirement", ["lib", "lib<1", "lib>=1; python_version < '3'", "lib>=1; extra == 'x'", "lib >>> 1", "other>=1"]
)
def test_build_requirements_that_the_closure_serves(requirement: str) -> None:
    assert built_with(requirement) == []


def test_a_marker_that_makes_no_sense_is_no_crash() -> None:
    assert built_with("lib>=1; python_version ~= 'x'") == []


def test_in_other_layouts_builds_have_versions_of_their_own() -> None:
    assert built_with("lib>=1", layout=Layout.STACK) == []


def test_what_a_build_requirement_requires_is_in_its_root_as_well() -> None:
    of = replace(case(own("lib"), LIB), build=(replace(HATCHLING, requires_dist=("lib>=1",)), *Case().build[1:]))
    inputs = of.inputs()
    (problem,) = build_with_another(make_plan(inputs), inputs)
    assert str(problem).startswith("hatchling: is built with lib>=1, the closure has 0.9\n")
    # where the closure has it, its own file is what is there
    both = replace(of, closure=(*of.closure, Dist("hatchling", "1.20"))).inputs()
    assert list(build_with_another(make_plan(both), both)) == []


def test_a_pre_release_of_the_closure_serves() -> None:
    inputs = case(own("lib"), replace(LIB, version="1.0rc1")).inputs()
    inputs = replace(inputs, build_requires={OWN.filename: ("lib>=0.5",)})
    assert list(build_with_another(make_plan(inputs), inputs)) == []


@pytest.mark.parametrize(
    ("override", "accepted"),
    [
        ({"own": '[[unmet]]\ndist = "lib"\nreason = "it works"\n'}, True),
        ({"other": '[[unmet]]\ndist = "lib"\nreason = "it works"\n'}, False),
        ({"other": '[[build-with]]\ndist = "lib"\nreason = "the closure\'s"\n'}, True),
    ],
)
def test_what_a_human_decided_is_no_finding(override: dict[str, str], *, accepted: bool) -> None:
    assert (built_with("lib>=1", overrides=override) == []) is accepted


def test_a_replacement_of_what_nobody_ships() -> None:
    table = '[system.replace]\nlib = "needed newer"\ncffi = "needed newer"\n'
    inputs = case(own("lib"), LIB, release=RELEASE + table).inputs()
    (problem,) = replaces_nothing(make_plan(inputs), inputs)
    assert str(problem) == "elpack.toml: system.replace.lib: no target ships it\n  fix: remove the entry"

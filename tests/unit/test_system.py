"""Layout `system`: what no RPM can require, and metapackages of extras whose names have two spellings."""

from __future__ import annotations

import pytest
from tests.unit.plans import HEAD, OWN, Case, Dist

from elpack.checks.system_rules import unspeakable_requirement
from elpack.model import CoreMetadata, Layout
from elpack.plan.make import make_plan
from elpack.render import render_all

RELEASE = HEAD + 'layout = "system"\n[library]\nname = "own"\n[first-party]\nown = {}\n[targets.el9]\n'


def case(extras: tuple[str, ...] = (), requires_dist: tuple[str, ...] = (), table: str = "") -> Case:
    """Return a library with these extras and requirements; `table` says which extras get a metapackage."""
    metadata = CoreMetadata("own", "1.5", licence_expression="MIT", extras=extras, requires_dist=requires_dist)
    own = Dist("own", "1.5", wheel="", build_requires=OWN.build_requires, metadata=metadata)
    return Case(closure=(own, Dist("lib", "0.9")), release=RELEASE + table, layout=Layout.SYSTEM)


@pytest.mark.parametrize("text", ["lib @ https://example.org/lib.zip", "lib===weird"])
@pytest.mark.parametrize("extra", ["", "fast"])
def test_what_no_rpm_can_require_is_a_finding_and_no_crash(text: str, extra: str) -> None:
    marker = f" ; extra == '{extra}'" if extra else ""
    table = f'[system.extras]\nown = ["{extra}"]\n' if extra else ""
    inputs = case(("fast",), (text + marker, "lib>=0.5"), table).inputs()
    plan = make_plan(inputs)
    (problem,) = unspeakable_requirement(plan, inputs)
    assert problem.where == "own 1.5"
    assert "lib" in problem.what
    assert "layout stack" in problem.fix
    own = next(package for package in plan.packages if package.dist == "own")
    assert own.requires == ("python3.12dist(lib) >= 0.5",)


def test_requirements_that_can_be_met_are_no_finding() -> None:
    inputs = case(requires_dist=("lib>=0.5", "lib===0.9", "lib @ https://example.org/x ; extra == 'unasked'")).inputs()
    assert list(unspeakable_requirement(make_plan(inputs), inputs)) == []


@pytest.mark.parametrize(
    ("spelling", "rpm", "offer"),
    [
        ("foo-bar", "python3.12-own+foo-bar", ()),
        ("Foo-Bar", "python3.12-own+foo-bar", ()),
        ("Foo_Bar", "python3.12-own+foo_bar", ("python3.12dist(own[foo-bar]) = 1.5",)),
        ("foo.bar", "python3.12-own+foo.bar", ("python3.12dist(own[foo-bar]) = 1.5",)),
    ],
)
def test_a_metapackage_is_named_as_rpm_s_generator_finds_it(spelling: str, rpm: str, offer: tuple[str, ...]) -> None:
    requires = (f"lib ; extra == '{spelling}'",)
    plan = make_plan(case((spelling,), requires, '[system.extras]\nown = ["foo-bar"]\n').inputs())
    own = next(package for package in plan.packages if package.dist == "own")
    (extra,) = own.extras
    assert (extra.rpm, extra.provides) == (rpm, offer)
    spec = render_all(plan, "Shop <shop@example.org>", 1)[own.node]
    assert f"%package -n     {rpm}\n" in spec
    assert [line for line in spec.splitlines() if "own[" in line] == [f"Provides:       {text}" for text in offer]

"""Specs of real packages, from what the planner decided about them: as committed, and as rpm and rpmlint see them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.golden.made_up import bundle_of, bundle_plan
from tests.golden.recorded import LAYOUTS, PACKAGER, PYTHONS, golden_packages, load
from tests.rpmtools import macro_options, rpmlint, rpmspec

from elpack.render import render_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.plan.model import Package, Plan

HERE = Path(__file__).parent
PLANS = [load(HERE, target, layout) for target in PYTHONS for layout in LAYOUTS]
BUNDLES = [bundle_plan(target, python) for target, python in PYTHONS.items()]
CASES = [
    pytest.param(plan, package, id=f"{plan.target.name}-{package.node}")
    for plan, package in [
        *((plan, package) for plan in PLANS for package in golden_packages(plan)),
        *((plan, bundle_of(plan)) for plan in BUNDLES),
    ]
]


def test_all_golden_packages_were_recorded() -> None:
    assert len(CASES) == (sum(map(len, LAYOUTS.values())) + 1) * len(PYTHONS)


def test_no_golden_spec_is_left_over() -> None:
    expected = {f"{plan.target.name}/{package.rpm}.spec" for plan, package in _values()}
    specs = HERE / "specs"
    assert {str(path.relative_to(specs)) for path in specs.rglob("*.spec")} == expected
    assert len(expected) == len(CASES)


def _values() -> Iterator[tuple[Plan, Package]]:
    yield from ((plan, package) for plan, package in (case.values for case in CASES))  # type: ignore[misc]


@pytest.mark.parametrize(("plan", "package"), CASES)
def test_a_spec_is_as_committed(plan: Plan, package: Package, golden: Callable[[str, str], None]) -> None:
    golden(f"{plan.target.name}/{package.rpm}.spec", render_spec(package, plan, PACKAGER, 1))


@pytest.mark.parametrize(("plan", "package"), CASES)
def test_rpm_parses_a_golden_spec(plan: Plan, package: Package, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("rpmspec")
    for name, text in package.generated:
        (tmp_path / name).write_text(text)
    spec = HERE / "specs" / plan.target.name / f"{package.rpm}.spec"
    # the macros ask an interpreter where site-packages is; the target's need not be here
    options = [*macro_options(plan.target.dist_tag, tmp_path), "--define", f"__python3 {sys.executable}"]
    rpmspec("-P", *options, str(spec))
    query = "%{name}|%{epoch}|%{version}|%{release}|%{license}|%{summary}\n"
    packages = rpmspec("-q", "--qf", "%{name}\n", *options, str(spec)).split()
    assert {package.rpm, *(extra.rpm for extra in package.extras)} <= set(packages)
    evr, told = package.evr, rpmspec("-q", "--srpm", "--qf", query, *options, str(spec)).strip()
    epoch = str(evr.epoch) if evr.epoch else "(none)"
    licence = package.licence.expression
    assert told == f"{package.rpm}|{epoch}|{evr.version}|{evr.release}|{licence}|{package.summary}"


def test_rpmlint_finds_nothing_in_golden_specs(needs: Callable[..., None]) -> None:
    needs("rpm")
    assert rpmlint(*sorted((HERE / "specs").rglob("*.spec"))) == []

"""Specs of real packages, from what the planner decided about them: as committed, and as rpm and rpmlint see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.golden.recorded import GOLDEN, PACKAGER, PYTHONS, golden_packages, load
from tests.rpmtools import macro_options, rpmlint, rpmspec

from elpack.render import render_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.plan.model import Package, Plan

HERE = Path(__file__).parent
PLANS = {target: load(target, HERE / f"{target}.json") for target in PYTHONS}
CASES = [
    pytest.param(plan, package, id=f"{target}-{package.node}")
    for target, plan in PLANS.items()
    for package in golden_packages(plan)
]


def test_all_golden_packages_were_recorded() -> None:
    assert len(CASES) == len(GOLDEN) * len(PYTHONS)


@pytest.mark.parametrize(("plan", "package"), CASES)
def test_a_spec_is_as_committed(plan: Plan, package: Package, golden: Callable[[str, str], None]) -> None:
    golden(f"{plan.target.name}/{package.rpm}.spec", render_spec(package, plan, PACKAGER, 1))


@pytest.mark.parametrize(("plan", "package"), CASES)
def test_rpm_parses_a_golden_spec(plan: Plan, package: Package, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("rpmspec")
    for name, text in package.generated:
        (tmp_path / name).write_text(text)
    spec = HERE / "specs" / plan.target.name / f"{package.rpm}.spec"
    options = macro_options(plan.target.dist_tag, tmp_path)
    rpmspec("-P", *options, str(spec))
    query = "%{name}|%{epoch}|%{version}|%{release}|%{license}|%{summary}\n"
    evr, told = package.evr, rpmspec("-q", "--srpm", "--qf", query, *options, str(spec)).strip()
    epoch = str(evr.epoch) if evr.epoch else "(none)"
    licence = package.licence.expression
    assert told == f"{package.rpm}|{epoch}|{evr.version}|{evr.release}|{licence}|{package.summary}"


def test_rpmlint_finds_nothing_in_golden_specs(needs: Callable[..., None]) -> None:
    needs("rpm")
    assert rpmlint(*sorted((HERE / "specs").rglob("*.spec"))) == []

"""What a release promises beyond its metadata: read, and checked of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.plans import APP, LIB, OWN, RELEASE, Case, Dist

from elpack.checks.promise_rules import PROMISE_RULES
from elpack.config import parse_release
from elpack.config.promises import Promises
from elpack.errors import ConfigError
from elpack.plan.make import make_plan

PROMISE = "the release promises not to require lmdb, but does"
FIX = "  fix: have the requirement of lmdb taken out and lock again; or take the promise back"


def promising(text: str) -> str:
    return f"{RELEASE}[promises]\n{text}\n"


def found(case: Case) -> list[str]:
    inputs = case.inputs()
    plan = make_plan(inputs)
    return [str(problem) for rule in PROMISE_RULES for problem in rule(plan, inputs)]


def test_promises_are_read() -> None:
    assert parse_release(RELEASE).promises == Promises()
    release = parse_release(promising('not-required = ["LMDB", "flat_buffers"]\ncffi-only = true'))
    assert release.promises == Promises(("lmdb", "flat-buffers"), cffi_only=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cffi-only = 1", "elpack.toml: promises.cffi-only: expected true or false, found an integer"),
        ('not-required = "lmdb"', "elpack.toml: promises.not-required: expected an array, found a string"),
        ('not-required = ["-"]', "elpack.toml: promises.not-required[0]: '-' is not a valid name"),
        ('not-required = ["a", "A"]', "elpack.toml: promises.not-required[1]: a is there twice"),
        ("cffi = true", "elpack.toml: promises.cffi: unknown key"),
    ],
)
def test_a_mistake_in_promises(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_release(promising(text))
    (problem,) = caught.value.problems
    assert str(problem).startswith(message)


@pytest.mark.parametrize(
    ("dists", "why"),
    [
        ((replace(LIB, requires=("lmdb",)), Dist("lmdb")), "required by lib"),
        ((replace(OWN, requires_dist=("lmdb>=1",)),), "required by own"),
        (
            (
                replace(OWN, requires_dist=("LMDB; extra == 'fast'",), extras=("fast",)),
                replace(APP, requires_dist=("lmdb",)),
            ),
            "required by app, own",
        ),
        ((Dist("lmdb"),), "it is in the closure"),
    ],
)
def test_a_promise_is_broken(dists: tuple[Dist, ...], why: str) -> None:
    case = Case(release=promising('not-required = ["other", "lmdb"]')).instead(*dists)
    assert found(case) == [f"elpack.toml: promises.not-required[1]: {PROMISE}\n  why: {why}\n{FIX}"]


@pytest.mark.parametrize(
    "dist",
    [
        replace(OWN, requires_dist=("lmdb; extra == 'fast'", "lmdb; sys_platform == 'win32'", "not [valid")),
        replace(LIB, requires_dist=("lmdb; extra == 'fast'",)),
    ],
)
def test_what_does_not_hold_breaks_no_promise(dist: Dist) -> None:
    assert found(Case(release=promising('not-required = ["lmdb"]')).instead(dist)) == []


def test_only_first_party_packages_promise_cffi() -> None:
    packages = {
        package.dist: package for package in make_plan(Case(release=promising("cffi-only = true")).inputs()).packages
    }
    assert [name for name in ("app", "own", "lib", "hatchling") if packages[name].cffi_only] == ["app", "own"]  # type: ignore[index]

"""The real release for both architectures in one run, on one machine: cross-compiled, installed and tried emulated."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import PROJECT, STANDIN, TOOLS, elpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.arm64, pytest.mark.root]

DIST = PROJECT / "dist" / "el9-standin"
COMPILED = {"autobahn", "bjdata", "py-ubjson", "zlmdb"}


@pytest.fixture(scope="module")
def said(needs: Callable[..., None], emulated: str) -> str:
    """Do the main job for every architecture, and return what it told."""
    assert emulated
    needs(*TOOLS)
    done = elpack("rpm-all", *STANDIN, "--arch", "all", "--way", "cross")
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stderr


def packages(arch: str) -> dict[str, Path]:
    return {path.name: path for path in (DIST / arch / "repo").glob("*.rpm")}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_this_machine_s_own_results_come_first(said: str) -> None:
    ends = [line for line in said.splitlines() if "Install and smoke-test" in line]
    assert ["(x86_64)" in line for line in ends] == [True, False]
    assert "emulated" in ends[1]


def test_every_step_passes_on_both(said: str) -> None:
    assert said
    steps = {}
    for arch in ("x86_64", "aarch64"):
        report = json.loads((DIST / arch / "logs" / "smoke" / "report.json").read_text())
        assert {step["status"] for step in report} == {"ok"}
        steps[arch] = [step["name"] for step in report]
    assert steps["aarch64"] == ["imports of what was cross-compiled", *steps["x86_64"]]


def test_what_is_noarch_is_the_very_same(said: str) -> None:
    assert said
    own, other = packages("x86_64"), packages("aarch64")
    assert len(own) == len(other) == 143
    assert Counter(name.split(".")[-2] for name in own) == {"noarch": 106, "x86_64": 37}
    shared = own.keys() & other.keys()
    assert len(shared) == 106
    # those of the repository are signed, each by one key: what they are signed by is the same as well
    assert {name for name in shared if digest(own[name]) != digest(other[name])} == set()


def test_the_plan_says_how_each_comes_to_be(said: str) -> None:
    assert said
    done = elpack("plan", "--target", "el9-standin", "--arch", "aarch64", "--way", "cross", "--json")
    plan = json.loads(done.stdout)["packages"]
    assert Counter(package["way"] for package in plan) == {"shared": 119, "repackaged": 35, "cross": 4}
    assert {package["dist"] for package in plan if package["way"] == "cross"} == COMPILED
    # the keys of what is cross-compiled have the compiler in them, which planning does not make
    assert {package["dist"] for package in plan if not package["cached"]} == COMPILED

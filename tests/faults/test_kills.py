"""A run is killed at random instants, and the next one goes on as if nothing had been."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.faults.lane import RPM_ALL, Lane
from tests.faults.project import Project, toy, wamp
from tests.faults.whole import leftovers, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.root

TOOLS = ("dnf", "bwrap", "mmdebstrap", "rpmbuild", "createrepo_c", "rpm", "losetup")


def undisturbed(project: Project) -> tuple[dict[str, str], dict[str, float]]:
    """Let a run come to its end; return the digests of its results, and the seconds of its phases."""
    run = project.start(*RPM_ALL)
    assert run.wait() == 0, run.said()[-6000:]
    assert leftovers(project) == []
    return whole(project.output), run.phases()


@pytest.mark.integration
def test_a_toy_survives_some_kills(place: Path, seed: int, needs: Callable[..., None]) -> None:
    """The reduced lane: every phase of a small release."""
    needs(*TOOLS)
    project = toy(place / "toy")
    reference, spans = undisturbed(project)
    lane = Lane(project, seed, reference, spans)
    lane.begin_anew()
    lane.kill_in("fetch", 1)
    lane.kill_in("build", 3, longest=4)
    lane.kill_in("repository", 2)
    lane.kill_in("install", 2)
    lane.finish()
    print(lane.report())  # noqa: T201


@pytest.mark.faults
def test_the_real_release_survives_many_kills(
    place: Path, seed: int, request: pytest.FixtureRequest, needs: Callable[..., None]
) -> None:
    """The whole lane. Of 50 kills 24 are in builds, 8 in the repository and its signatures, 8 in the installation."""
    needs(*TOOLS)
    kills = request.config.getoption("--kills", 50)
    project = wamp(place / "wamp")
    reference, spans = undisturbed(project)
    lane = Lane(
        project, seed, reference, spans, kept=tuple(node for node in project.names().values() if "zlmdb" in node)
    )
    lane.begin_anew()
    start = time.monotonic()
    try:
        lane.kill_in("fetch", kills * 4 // 50)
        lane.kill_in("build", kills * 24 // 50)
        lane.kill_in("repository", kills * 8 // 50)
        lane.kill_in("install", kills * 8 // 50, longest=60)
        for _ in range(kills * 2 // 50):
            lane.kill_after(8, "lock", "lock")
        lane.finish()
        for _ in range(kills * 2 // 50):
            lane.kill_after(3, "plan", "plan", *RPM_ALL[1:3])
        for _ in range(kills * 2 // 50):
            lane.kill_after(2, "clean", "clean")
    finally:
        print(f"{lane.report()}\n{time.monotonic() - start:.0f} s")  # noqa: T201

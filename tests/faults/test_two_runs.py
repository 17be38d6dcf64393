"""Two runs at once on one work folder: the second is told, looks only, or waits; nothing is mixed."""

from __future__ import annotations

import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.faults.lane import RPM_ALL
from tests.faults.project import TARGET, Project
from tests.faults.whole import leftovers, processes, whole

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.faults]


def test_a_second_run_is_told_and_looking_is_free(finished: Project, reference: dict[str, str], place: Path) -> None:
    finished.forget()
    first = finished.start(*RPM_ALL)
    assert first.reaches("build")
    # its output goes elsewhere than the first one's
    other = Project(place / "log")
    other.folder.mkdir()
    file = ("--file", str(finished.folder / "elpack.toml"))
    refused: tuple[tuple[str, ...], ...] = (
        RPM_ALL,
        ("rpm", *TARGET, "-l", "bundle"),
        ("clean",),
        ("lock",),
        ("standin",),
    )
    for command in refused:
        said = other.run(*command, *file, code=26)
        assert f"another run, process {first.process.pid}, is at work" in said, command
    free: tuple[tuple[str, ...], ...] = (("plan", *TARGET), ("check", *TARGET), ("spec", "--out", str(place), *TARGET))
    for command in free:
        other.run(*command, *file)
    elsewhere = ("--work", str(place / "work"), "--dist", str(finished.dist), *file)
    assert "another run is writing there" in other.run(*RPM_ALL, *elsewhere, code=26)
    assert first.wait() == 0, first.said()
    assert whole(finished.output) == reference
    assert leftovers(finished) == []


def test_two_that_start_at_the_same_time(finished: Project, reference: dict[str, str], place: Path) -> None:
    shutil.rmtree(finished.dist)
    (place / "log").mkdir()
    file = ("--file", str(finished.folder / "elpack.toml"))
    runs = [finished.start(*RPM_ALL), Project(place / "log").start(*RPM_ALL, *file)]
    codes = sorted(run.wait() for run in runs)
    assert codes in ([0, 0], [0, 26]), [run.said() for run in runs]
    assert whole(finished.output) == reference


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("phase", ["fetch", "build", "repository", "install"])
def test_signals_tidy_up_at_once(
    phase: str, number: signal.Signals, finished: Project, reference: dict[str, str]
) -> None:
    if phase == "build":
        finished.forget()
    shutil.rmtree(finished.dist, ignore_errors=True)
    run = finished.start(*RPM_ALL)
    assert run.reaches(phase)
    time.sleep(1.0 if phase in {"build", "install"} else 0.05)
    run.kill(number)
    asked = time.monotonic()
    assert run.wait() in {128 + number, 0}, run.said()[-3000:]
    assert time.monotonic() - asked < 60
    assert "Traceback" not in run.said()
    assert processes(finished.folder, 2) == {}
    assert [text for text in leftovers(finished) if text.startswith("mount")] == []
    assert whole(finished.output) in ({}, reference)
    finished.run(*RPM_ALL)
    assert whole(finished.output) == reference
    assert leftovers(finished) == []

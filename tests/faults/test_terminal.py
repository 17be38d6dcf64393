"""The terminal of a run is closed, and the clock goes backwards."""

from __future__ import annotations

import os
import pty
import time
from typing import TYPE_CHECKING

import pytest
from tests.faults.lane import RPM_ALL
from tests.faults.whole import leftovers, processes, whole

if TYPE_CHECKING:
    from tests.faults.project import Project

pytestmark = [pytest.mark.root, pytest.mark.faults]


def test_a_closed_terminal_ends_the_run(finished: Project, reference: dict[str, str]) -> None:
    finished.forget()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(finished.folder)
        os.execvp(os.environ.get("PYTHON", "python"), ("python", "-m", "elpack", *RPM_ALL))  # noqa: S606
    end = time.monotonic() + 120
    while not list((finished.work / "building").glob("*")) and time.monotonic() < end:
        os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in {129, -1}
    assert processes(finished.folder, 5) == {}
    assert [text for text in leftovers(finished) if text.startswith("mount")] == []
    finished.run(*RPM_ALL)
    assert whole(finished.output) == reference


def test_the_clock_may_be_what_it_likes(finished: Project, reference: dict[str, str]) -> None:
    """Files from the future are no obstacle: nothing is decided by time."""
    future = time.time() + 10 * 365 * 86_400
    for path in finished.work.rglob("*"):
        if path.is_file() and not path.is_symlink() and not {"bases", "standin", "downloads"} & {*path.parts}:
            os.utime(path, (future, future))
    finished.forget(but=tuple(node for node in finished.names().values() if node and "toy" not in node))
    finished.run(*RPM_ALL)
    assert whole(finished.output) == reference
    assert leftovers(finished) == []

"""Starts podman's API service, and ends it with all that it started."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elpack.engine.calls import connected
from elpack.engine.configuration import place, prepare
from elpack.errors import EngineError, Problem
from elpack.run import Command, running, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from podman import PodmanClient

    from elpack.engine.configuration import Place
    from elpack.run import Runner, Running

_PATIENCE = 60.0
"""Seconds that the service gets to answer. It takes half of one, and more after a run that was killed."""
_PULSE = 0.02
_PRUNING = 300.0
# with process 1 of the namespace the kernel ends all others: containers, their monitors, builds; and their mounts go
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
# process 1 inherits the orphans, which podman itself would never collect
_FIRST = ("sh", "-c", '"$@" & wait $!', "sh")


@contextmanager
def served(work: Path, runner: Runner) -> Iterator[tuple[PodmanClient, Place, Mapping[str, str], tuple[str, ...]]]:
    """Start a service with storage below the work folder: a client, places, environment and what the user should know.

    Raises `EngineError` when it does not start. The caller holds the work folder.
    """
    where = place(work)
    where.home.mkdir(parents=True, exist_ok=True)
    environment, notices = prepare(where)
    if where.busy.exists():
        _tidy(environment, runner)
    where.busy.touch()
    where.log.unlink(missing_ok=True)
    url = f"unix://{where.socket}"
    argv = ("podman", "system", "service", "--time=0", url)
    command = Command(apart(argv), env=environment, log=where.log)
    try:
        with running(command) as service, _awaited(url, where, service) as client:
            yield client, where, environment, notices
        where.busy.unlink(missing_ok=True)
    finally:
        shutil.rmtree(where.live, ignore_errors=True)


@contextmanager
def lent(
    work: Path, runner: Runner
) -> Iterator[tuple[Mapping[str, str], Callable[[tuple[str, ...]], tuple[str, ...]]]]:
    """Lend our podman to a program that calls it by itself, while no service of ours runs.

    Yields the environment of such a program, and what encloses its command, so that containers end with it. The caller
    holds the work folder. Raises `EngineError`.
    """
    where = place(work)
    where.home.mkdir(parents=True, exist_ok=True)
    environment, _ = prepare(where)
    if where.busy.exists():
        _tidy(environment, runner)
    where.busy.touch()
    try:
        yield environment, apart
        where.busy.unlink(missing_ok=True)
    finally:
        shutil.rmtree(where.live, ignore_errors=True)


def apart(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command of podman in namespaces of its own, which end with it. Without root podman makes its own."""
    return (*_APART, *_FIRST, *argv) if os.geteuid() == 0 else argv


def _tidy(environment: Mapping[str, str], runner: Runner) -> None:
    """Remove the containers that a killed run left, and those of builds, which podman does not count as its own."""
    for argv in (("podman", "rm", "--all", "--force"), ("podman", "system", "prune", "--external", "--force")):
        # what cannot be removed is in nobody's way
        runner(Command(apart(argv), env=environment, timeout=_PRUNING))


@contextmanager
def _awaited(url: str, where: Place, service: Running) -> Iterator[PodmanClient]:
    end = time.monotonic() + _PATIENCE
    while not where.socket.exists():
        status = service.ended(_PULSE)
        if status is not None or time.monotonic() > end:
            what = "podman's service does not answer" if status is None else f"podman's service ended with {status}"
            raise EngineError(Problem(f"{what}\n{tail(where.log, 20)}", str(where.log)))
    with connected(url) as client:
        yield client

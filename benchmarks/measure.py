"""CPU seconds of this process and of everything that it starts, whoever waits for it."""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@dataclass(slots=True)
class Cost:
    """Seconds: `cpu` is user and system time together, `wall` depends on what else the machine does."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what happens inside. No child may be running at its begin, and none that is to live on at its end.

    bwrap ends without waiting for the first process of its sandbox, so the kernel would forget what the sandbox
    used. As a subreaper we inherit such orphans, and their time is ours once we have waited for them.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cost, cpu, wall = Cost(), _cpu(), time.monotonic()
    yield cost
    _wait_for_orphans()
    cost.cpu, cost.wall = _cpu() - cpu, time.monotonic() - wall


def run(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> tuple[Cost, int, str]:
    """Run a program; return its cost, its exit code (124 after a timeout, as timeout(1) has it) and what it said."""
    with measured() as cost:
        try:
            done = subprocess.run(
                argv,
                cwd=cwd,
                env=_installed(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                text=True,
                errors="replace",
            )
            code, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            code, text = 124, f"not done after {timeout:.0f} s"
    return cost, code, text


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _installed(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return an environment in which Python keeps its byte code, as it does for every installed program."""
    return {key: value for key, value in (os.environ if env is None else env).items() if key != _NO_BYTECODE}


def _cpu() -> float:
    whole = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        whole += usage.ru_utime + usage.ru_stime
    return whole


def _wait_for_orphans() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return

"""Builds on another machine: a command starts `elpack worker` there, and its pipes carry jobs and results."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Never

from elpack import __version__
from elpack.builders import Built, Finished, unheard
from elpack.builders.declared import check_declared
from elpack.builders.logs import last_words, relevant
from elpack.builders.order import Order, receive_answer, send_order
from elpack.builders.parcel import OtherVersionError
from elpack.builders.staging import collect
from elpack.errors import ArchiveError, BuildError, ElpackError, ForeignArchError, Problem, ToolMissingError
from elpack.run import CLEAN_ENV, Command, run, talking
from elpack.supervise import Enclosure
from elpack.tools.dnf import folder, is_folder
from elpack.tools.rpm import file_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.builders import BuildJob, Repository
    from elpack.builders.bwrap import BwrapBuilder
    from elpack.builders.declared import Declared
    from elpack.model import Target
    from elpack.run import Runner, Talking

_FROM_USER = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK")
"""What ssh needs of the user's environment to reach the other end."""
_BESIDE = 3600.0
"""Seconds for all that is not the build itself: carrying files, making the base there."""
_PROGRESS = 1 << 20
"""Bytes that a worker may say beside the build's own log."""
_MOMENT = 10.0
_SAID = 8

_NOT_THERE = (126, 127)
"""What a shell ends with when it finds no program of that name, or may not start it."""
_SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class WorkerBuilder:
    """A `Builder`. `command` starts the worker, for a target whose base has the digest `base` here and there.

    home: builds on this machine; in one of its roots rpm says what a spec declares. None where nobody may make roots
    here: then the declaration is not checked. extra are elpack's own repositories, folders with finished packages of
    the target's architecture: they are sent along. runner is for queries of RPMs; the worker is talked with.
    """

    target: Target
    base: str
    command: tuple[str, ...]
    work: Path
    home: BwrapBuilder | None = None
    runner: Runner = run
    extra: tuple[Repository, ...] = ()

    @property
    def name(self) -> str:
        """Return the builder's name."""
        return "worker"

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        """Build the jobs one after the other, each in a root of its own there; see `Builder.build`.

        Raises `BuildError` when a package does not build, and `ForeignArchError` when the worker cannot be used.
        """
        done: list[Built] = []
        for job in jobs:
            done.append(self._build_one(job, out))
            finished(done[-1])
        return tuple(done)

    def _build_one(self, job: BuildJob, out: Path) -> Built:
        start = time.monotonic()
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.unlink(missing_ok=True)
        declared = self._declared(job)
        self.work.mkdir(parents=True, exist_ok=True)
        received = Path(tempfile.mkdtemp(prefix="answer-", dir=self.work))
        try:
            self._ask(job, received)
            srpm, rpms = collect(job, (received,), out, lambda made: self._check(job, declared, made))
        finally:
            shutil.rmtree(received, ignore_errors=True)
        return Built(job, srpm, rpms, time.monotonic() - start)

    def _declared(self, job: BuildJob) -> tuple[Declared, ...] | None:
        if self.home is None:
            return None
        return replace(self.home, extra=self.extra).ask_declared(replace(job, arch=job.arch or self.target.arch))

    def _check(self, job: BuildJob, declared: tuple[Declared, ...] | None, made: tuple[Path, ...]) -> None:
        """Hold RPMs, SRPM first, against what was asked for."""
        arches = (self.target.arch, "noarch")
        problems = []
        for path, name in zip(made, file_names(made, self.runner), strict=True):
            if path.name != name:
                problems.append(Problem(f"{path.name} holds a package that is to be named {name}", job.name))
            elif path is not made[0] and not path.name.endswith(tuple(f".{arch}.rpm" for arch in arches)):
                problems.append(Problem(f"{path.name} is not for {self.target.arch}", job.name))
        if problems:
            raise BuildError(*problems)
        check_declared(job, declared, made, self.runner)

    def _ask(self, job: BuildJob, into: Path) -> None:
        """Send the job, and put what the worker made into a folder."""
        rpms = tuple(path for one in self.extra if is_folder(one) for path in _packages(folder(one)))
        order = Order(self.target.name, self.target.python, self.target.arch, self.base, job, rpms)
        command = Command(
            self.command,
            env={**CLEAN_ENV, **{name: os.environ[name] for name in _FROM_USER if name in os.environ}},
            log=job.log,
            timeout=job.limits.time + _BESIDE,
            enclosed=Enclosure(job.limits.log + _PROGRESS),
        )
        try:
            with talking(command) as worker:
                self._talk(worker, order, into)
        except ToolMissingError as error:
            fix = f"install it, or change [builds.workers] {self.target.arch}"
            raise ForeignArchError(
                *(replace(problem, where=self._where(), fix=fix) for problem in error.problems)
            ) from error

    def _talk(self, worker: Talking, order: Order, into: Path) -> None:
        try:
            with suppress(BrokenPipeError):  # it needs no more to refuse it; why, it has said already
                send_order(worker.say, order)
            refusal = receive_answer(worker.hear, order, into)
        except (EOFError, ConnectionError):
            self._broken_off(order.job, worker.hang_up(_MOMENT))
        except TimeoutError as error:
            raise self._unusable(f"it did not answer within {order.job.limits.time + _BESIDE:.0f} s", _ALIVE) from error
        except OtherVersionError as error:
            raise self._unusable(
                f"it is elpack {error}, and this is elpack {__version__}", "install the same"
            ) from error
        except ArchiveError as error:
            problems = (replace(problem, where=self._where(problem.where), fix=_SILENT) for problem in error.problems)
            raise ForeignArchError(*problems) from error
        if refusal:
            kind: type[ElpackError] = BuildError if refusal.failed else ForeignArchError
            raise kind(*(self._told(order.job, problem, failed=refusal.failed) for problem in refusal.problems))

    def _told(self, job: BuildJob, problem: Problem, *, failed: bool) -> Problem:
        """Return a worker's problem as it is told here, where its paths mean nothing."""
        where = f"{job.name} ({job.log})" if failed else self._where(problem.where)
        return replace(
            problem, where=where, fix=f"on the worker, {self._words()}: {problem.fix}" if problem.fix else ""
        )

    def _broken_off(self, job: BuildJob, status: int | None) -> Never:
        """Say why there is no answer, or only half of one."""
        what = "it still runs, and says nothing" if status is None else f"it ended with {status} and without an answer"
        fix = f"look at {job.log}, then run again"
        if status == _SSH_FAILED:
            what = "ssh cannot reach it, or lost it"
            fix = (
                "try the same ssh by hand; nobody can type here, so it needs a key without passphrase and a known host"
            )
        elif status in _NOT_THERE:
            what = "its command was not found there"
            fix = f"install elpack {__version__} there, or write its whole path into [builds.workers]"
        raise self._unusable(f"{what}\n{relevant(last_words(job.log), _SAID)}".rstrip(), fix)

    def _unusable(self, what: str, fix: str) -> ForeignArchError:
        return ForeignArchError(Problem(what, self._where(), fix=fix))

    def _where(self, part: str = "") -> str:
        return f"the worker for {self.target.arch} ({self._words()})" + (f": {part}" if part else "")

    def _words(self) -> str:
        return shlex.join(self.command)


def _packages(repository: Path) -> list[Path]:
    """Return the packages of a repository that can be installed."""
    return [path for path in repository.rglob("*.rpm") if not path.name.endswith(".src.rpm")]


_ALIVE = "see whether it is alive; ssh notices a dead host by ServerAliveInterval in ~/.ssh/config"
_SILENT = "see that the command starts elpack worker and that nothing but elpack writes to its output"

"""Builds with mock, as Fedora's and EPEL's own build systems do."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders import Built, Finished, unheard
from elpack.builders.disk import is_full
from elpack.builders.emulation import MACHINE, is_emulated
from elpack.builders.limits import met
from elpack.builders.logs import relevant
from elpack.builders.mock.config import STANDIN, configuration
from elpack.builders.staging import collect, copy_inputs, keep_repositories
from elpack.errors import BuildError, DiskFullError, Problem
from elpack.run import CLEAN_ENV, Command, run
from elpack.tools.dnf import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.builders import BuildJob, Repository
    from elpack.errors import ElpackError
    from elpack.model import Target
    from elpack.run import Completed, Runner

_DEFAULT = "centos-stream-9"  # answers without a subscription

_CONFIG = "elpack.cfg"
_EXCHANGE = "/var/tmp"  # noqa: S108 - mkdtemp makes the folder below it


@dataclass(frozen=True, slots=True)
class MockBuilder:
    """A `Builder`. `repositories` are the target's own (used for the stand-in), `extra` are elpack's.

    distribution: whose packages fill the root, see `mock.config.DISTRIBUTIONS`. user: as whom mock builds when
    elpack runs as root, which mock refuses to; None when an ordinary user runs elpack. work holds locks only:
    mock keeps its roots and caches where the host's administrator told it to. machine: this host's architecture; for
    a target of another one mock wants an emulator, which the kernel starts.
    """

    target: Target
    repositories: tuple[Repository, ...]
    work: Path
    runner: Runner = run
    extra: tuple[Repository, ...] = ()
    distribution: str = ""
    user: int | None = None
    program: str = "mock"
    machine: str = MACHINE

    @property
    def name(self) -> str:
        """Return the builder's name."""
        return "mock"

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        """Build the jobs one after the other in one clean root; see `Builder.build`."""
        with self._slot() as slot, self._exchange() as folder:
            session = _Session(folder, slot)
            try:
                done: list[Built] = []
                for job in jobs:
                    done.append(self._build_one(job, session, out, first=job is jobs[0]))
                    finished(done[-1])
                return tuple(done)
            finally:
                self.runner(self._command(session, ("--clean",), folder / "clean.log"))

    def configuration(self) -> str:
        """Return the text of mock's configuration."""
        distribution = self.distribution or (STANDIN if self.target.standin else _DEFAULT)
        return configuration(self.target, distribution, self.repositories, self.extra, str(self.work))

    @contextmanager
    def _slot(self) -> Iterator[int]:
        """Hold a number that no other build holds now; it tells mock's roots of one configuration apart."""
        self.work.mkdir(parents=True, exist_ok=True)
        for slot in count():
            with (self.work / f"slot-{slot}.lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield slot
                return

    @contextmanager
    def _exchange(self) -> Iterator[Path]:
        """Give a folder that mock's unprivileged user can read and write, wherever elpack's own folders lie.

        It stays behind after a failed build, for the command that repeats it.
        """
        folder = Path(tempfile.mkdtemp(prefix="elpack-mock-", dir=_EXCHANGE))
        folder.chmod(0o755)
        _write_config(folder, self.configuration())
        if self.user is not None:
            os.chown(folder, self.user, -1)
        try:
            yield folder
        except BuildError:
            raise
        except BaseException:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)

    def _command(self, session: _Session, arguments: tuple[str, ...], log: Path) -> Command:
        # mock drops to the user who called sudo; the plain environment holds no trace of who that was
        environment = {} if self.user is None else {"SUDO_UID": str(self.user)}
        config = str(session.folder / _CONFIG)
        emulated = ("--forcearch", self.target.arch) if is_emulated(self.target.arch, self.machine) else ()
        argv = (self.program, "-r", config, "--uniqueext", str(session.slot), *emulated, *arguments)
        return Command(argv, env={**CLEAN_ENV, **environment}, log=log)

    def _build_one(self, job: BuildJob, session: _Session, out: Path, *, first: bool) -> Built:
        start = time.monotonic()
        folder = session.folder / job.name
        spec, sources, result = folder / "SPECS" / job.spec.name, folder / "SOURCES", folder / "result"
        copy_inputs(job, spec.parent, sources)
        if self.user is not None:
            os.chown(folder, self.user, -1)
        keep = ("--no-cleanup-after",) if first else ("--no-clean", "--no-cleanup-after")
        arguments = (
            *("--rebuild", "--spec", str(spec), "--sources", str(sources), "--resultdir", str(result)),
            *("--rpmbuild_timeout", str(job.limits.time)),
            # what rpmbuild gets as --target; the root stays as it is
            *(("--arch", job.arch) if job.arch else ()),
        )
        # with both a spec and sources, --rebuild runs --buildsrpm first, in the same root
        completed = self.runner(self._command(session, (*keep, *arguments), folder / "mock.log"))
        self._keep_logs(job, folder)
        if completed.returncode != 0:
            self._keep_repositories(session)
            again = self._command(session, ("--no-cleanup-after", *arguments), folder / "mock.log")
            raise self._failure(job, folder, completed, again)
        srpm, rpms = collect(job, (result,), out)
        return Built(job, srpm, rpms, time.monotonic() - start)

    def _keep_logs(self, job: BuildJob, folder: Path) -> None:
        """Put rpmbuild's output into the job's log, and dnf's beside it; without the first, what mock itself said."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        build, root = folder / "result" / "build.log", folder / "result" / "root.log"
        for source, log in ((build, job.log), (root, job.log.with_suffix(".root.log"))):
            if source.exists():
                shutil.copyfile(source, log)
        if not build.exists() and (folder / "mock.log").exists():
            shutil.copyfile(folder / "mock.log", job.log)

    def _keep_repositories(self, session: _Session) -> None:
        """Let the configuration of a failed build name repositories that will still be there."""
        kept = keep_repositories(self.extra, session.folder / "repositories")
        _write_config(session.folder, replace(self, extra=kept).configuration())

    def _failure(self, job: BuildJob, folder: Path, completed: Completed, again: Command) -> ElpackError:
        fix = f"to see it again: {_typed(again)}"
        text = _read(folder / "result" / "build.log")
        if is_full(folder):
            return DiskFullError(Problem("the disk is full", where=job.name, fix="free some space, then run again"))
        if f"Timeout({job.limits.time}) expired" in _read(folder / "mock.log"):
            return BuildError(met("time", job.limits, f"{job.name} ({job.log})", relevant(text), job.dist))
        if "RPM build errors:" not in text and "error: " not in text:
            said = _read(folder / "result" / "root.log") + _read(folder / "mock.log")
            return explain(said, f"mock ended with {completed.returncode}", fix, BuildError, job.name)
        what = f"mock ended with {completed.returncode}\n{relevant(text)}"
        return BuildError(Problem(what, where=f"{job.name} ({job.log})", fix=fix))


@dataclass(frozen=True, slots=True)
class _Session:
    """One call of `build`: the folder that elpack and mock share, and which of equal roots it uses."""

    folder: Path
    slot: int


def _write_config(folder: Path, text: str) -> None:
    config = folder / _CONFIG
    config.write_text(text, encoding="utf-8")
    os.utime(config, (0, 0))  # mock discards caches older than the file, but the root's name says it all


def _typed(command: Command) -> str:
    """Return the command as a person would type it, the user for mock included."""
    user = command.env.get("SUDO_UID")
    return f"env SUDO_UID={user} {command}" if user else str(command)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

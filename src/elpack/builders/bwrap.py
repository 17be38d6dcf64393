"""Builds with nothing but root, dnf, overlayfs and bubblewrap: for hosts that have no mock."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from elpack.builders import Built, Finished, unheard
from elpack.builders.declared import Declared, ask_packages, check_declared, declared
from elpack.builders.disk import Measure, is_full
from elpack.builders.dynamic import MISSING, ROUNDS, SATISFIED, as_asked, asked, installable, is_dynamic, with_asked
from elpack.builders.emulation import is_emulated
from elpack.builders.environment import ask_requires, rpmbuild, rpmbuild_dynamic
from elpack.builders.limits import Fence, Mechanism, fence_name, memory_of, met
from elpack.builders.logs import last_words, relevant
from elpack.builders.reproduce import forget, write_script
from elpack.builders.roots import Roots
from elpack.builders.sandbox import sandboxed
from elpack.builders.seccomp import filter_file
from elpack.builders.staging import collect, restage, stage
from elpack.errors import BuildError, DiskFullError, PrivilegeError, Problem
from elpack.run import run
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elpack.builders import BuildJob, Repository
    from elpack.builders.inside import Inside
    from elpack.builders.roots import CleanRoot
    from elpack.model import Target
    from elpack.run import Completed, Runner

_EMULATED = "it was emulated, which takes 10 to 13 times as long; a worker or --way cross is faster"
_NAMES_SHOWN = 5
_MACROS = re.compile(r"-(?:macros|devel)\Z")
_DISK_FULL = re.compile(r"No space left on device|File size limit exceeded|Disk quota exceeded")
_STARVED = re.compile(r"Cannot allocate memory|MemoryError|bad_alloc|memory exhausted|Resource temporarily unavailable")


@dataclass(frozen=True, slots=True)
class BwrapBuilder:
    """A `Builder`. `repositories` are the target's own, from which the base root is made.

    extra are elpack's: build requirements and finished packages. Their content may change between builds.
    work holds the base roots, dnf's cache and what is being built. preload: see `sandboxed`. mechanism: what limits
    builds on this host. inside: what its builds find beside their root.
    """

    target: Target
    repositories: tuple[Repository, ...]
    work: Path
    runner: Runner = run
    extra: tuple[Repository, ...] = ()
    preload: Path | None = None
    mechanism: Mechanism = field(default_factory=Mechanism.here)
    inside: Inside | None = None

    @property
    def name(self) -> str:
        """Return the builder's name."""
        return "bwrap"

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        """Build the jobs one after the other in one clean root; see `Builder.build`."""
        if os.geteuid() != 0:
            fix = "run it with sudo, or install mock and use --builder mock"
            raise PrivilegeError(Problem("the bwrap builder needs root to make build roots", fix=fix))
        with self.roots().clean_root(max(job.limits.disk for job in jobs)) as root:
            try:
                self._install(root, jobs)
            finally:
                self._all().forget(self.extra)
            done: list[Built] = []
            for job in jobs:
                done.append(self._build_one(root, job, out))
                finished(done[-1])
            return tuple(done)

    def ask_declared(self, job: BuildJob) -> tuple[Declared, ...]:
        """Return what a job's spec says its packages are, for its own architecture, which need not be that of the root.

        Nothing is built: of its requirements only those are installed that bring macros. Raises `BuildError`.
        """
        job = replace(job, requires=tuple(filter(_MACROS.search, job.requires)), log=job.log.with_suffix(".spec.log"))
        with self.roots().clean_root(job.limits.disk) as root:
            try:
                self._install(root, (job,))
            finally:
                self._all().forget(self.extra)
            stage(job, root.builddir)
            return self._declared(root, job, self._fence(root, job))

    def roots(self) -> Roots:
        """Return the build roots, whose base this target's repositories fill."""
        return Roots(self._dnf(self.repositories), self.target.buildroot, self.work, self.runner, build_user=True)

    def _dnf(self, repositories: tuple[Repository, ...]) -> Dnf:
        work = self.work / "dnf"
        return Dnf(repositories, self.target.arch, str(self.target.el), work, BuildError, self.runner)

    def _all(self) -> Dnf:
        return self._dnf((*self.repositories, *self.extra))

    def _install(self, root: CleanRoot, jobs: Sequence[BuildJob]) -> None:
        requires = sorted({requirement for job in jobs for requirement in job.requires})
        if requires:
            log = _root_log(jobs[0])
            log.unlink(missing_ok=True)
            self._add(root, jobs, requires)

    def _add(self, root: CleanRoot, jobs: Sequence[BuildJob], requires: Sequence[str]) -> None:
        words = [word for require in requires for word in installable(require)]
        try:
            # a bundle copies all of what its parts install
            self._all().install(root.path, words, _root_log(jobs[0]), _names(jobs), docs=True)
        except BuildError as error:
            raise self._unsatisfied(jobs, error.problems) from error

    def _unsatisfied(self, jobs: Sequence[BuildJob], problems: tuple[Problem, ...]) -> BuildError:
        """Name the jobs that asked for what is missing, and a script for one of them: the root is gone by then."""
        told = []
        for problem in problems:
            culprits = [job for job in jobs if any(_names_it(problem, require) for require in job.requires)] or jobs
            what = as_asked(problem.what)
            told.append(replace(problem, what=what, where=_names(culprits), fix=self._again(culprits[0])))
        return BuildError(*told)

    def _build_one(self, root: CleanRoot, job: BuildJob, out: Path) -> Built:
        start = time.monotonic()
        fence = self._fence(root, job)
        stage(job, root.builddir)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.unlink(missing_ok=True)
        declared_by_spec = self._declared(root, job, fence) if job.foreign else ()
        if is_dynamic(job):
            job = self._satisfied(root, job, fence)
            command = rpmbuild_dynamic(job.spec.name, self._arch(job), "--noprep")
        else:
            command = rpmbuild(job.spec.name, self._arch(job))
        self._run(root, job, fence, command)
        tree = root.builddir / "build"
        forget(job, self._kept(job))
        srpm, rpms = collect(
            job, (tree / "SRPMS", tree / "RPMS"), out, lambda made: self._check(job, declared_by_spec, made)
        )
        return Built(job, srpm, rpms, time.monotonic() - start)

    def _arch(self, job: BuildJob) -> str:
        return job.arch or self.target.arch

    def _check(self, job: BuildJob, expected: tuple[Declared, ...], made: tuple[Path, ...]) -> None:
        if job.foreign:
            check_declared(job, expected, made, self.runner)

    def _fence(self, root: CleanRoot, job: BuildJob) -> Fence:
        # a disk of its own counts by itself
        measure = None if root.home.is_mount() else Measure((root.upper, root.builddir), job.limits.disk)
        return Fence(job.limits, fence_name(root.home), root.record, self.mechanism, measure)

    def _declared(self, root: CleanRoot, job: BuildJob, fence: Fence) -> tuple[Declared, ...]:
        """Return what the spec says its packages are: rpm reads it before any code from outside runs."""
        done = self._sandboxed(root, job, fence, ask_packages(job.spec.name, self._arch(job)))
        if done.returncode != 0:
            raise self._failure(root, job, replace(done, command=replace(done.command, log=None)))
        return declared(done.stdout)

    def _satisfied(self, root: CleanRoot, job: BuildJob, fence: Fence) -> BuildJob:
        """Install what the spec asks for by %generate_buildrequires, until it asks for nothing new.

        Returns the job with all of it as its requirements. The source is prepared afterwards.
        """
        new: list[str] = []
        for number in range(ROUNDS):
            options = ("--noprep",) if number else ()
            command = ask_requires(job.spec.name, self._arch(job), *options)
            self._run(root, job, fence, command, (SATISFIED, MISSING))
            restage(job, root.builddir)
            wanted = asked(job, root.builddir / "build" / "SRPMS", self.runner)
            new = [require for require in wanted if require not in job.requires]
            if not new:
                return job
            job = with_asked(job, tuple(new))
            try:
                self._add(root, (job,), new)
                if self.inside:
                    self.inside.asked(new)
            finally:
                self._all().forget(self.extra)
        raise BuildError(
            Problem(
                f"%generate_buildrequires asked for something new {ROUNDS} times, the last time for {', '.join(new)}",
                where=f"{job.name} ({job.log})",
                fix=self._again(job),
            )
        )

    def _run(
        self, root: CleanRoot, job: BuildJob, fence: Fence, command: tuple[str, ...], fine: tuple[int, ...] = (0,)
    ) -> None:
        completed = self._sandboxed(root, job, fence, command, job.log)
        if completed.ended or completed.returncode not in fine:
            raise self._failure(root, job, completed)

    def _sandboxed(
        self, root: CleanRoot, job: BuildJob, fence: Fence, arguments: tuple[str, ...], log: Path | None = None
    ) -> Completed:
        command = sandboxed(
            root,
            arguments,
            log,
            preload=self.preload,
            seccomp=filter_file(self.work),
            scratch=memory_of(job.limits, self.mechanism) // 2,
            inside=self.inside,
        )
        with fence.around(command) as enclosed:
            return self.runner(enclosed)

    def _failure(self, root: CleanRoot, job: BuildJob, completed: Completed) -> BuildError | DiskFullError:
        """Say why a build failed: the host's disk, a limit, or itself. Its log may say anything, and proves nothing."""
        text = last_words(job.log) if completed.command.log else completed.stdout + completed.stderr
        where = f"{job.name} ({job.log})"
        if is_full(self.work):
            return DiskFullError(Problem("the disk is full", where=job.name, fix="free some space, then run again"))
        limit = completed.ended
        if not limit and (_DISK_FULL.search(text) or (root.home.is_mount() and is_full(root.home))):
            limit = "disk"
        if limit:
            slow = _EMULATED if limit == "time" and is_emulated(self.target.arch) else ""
            return BuildError(replace(met(limit, job.limits, where, relevant(text, 10), job.dist), why=slow))
        why = ""
        if _STARVED.search(text) and not self.mechanism.counts:
            why = f"maybe [builds] memory or processes: this host has {self.mechanism}, so nobody counted"
        what = f"rpmbuild ended with {completed.returncode}\n{relevant(text)}"
        return BuildError(Problem(what, where, why, self._again(job)))

    def _again(self, job: BuildJob) -> str:
        if self.inside:
            return self.inside.again
        roots = self.roots()
        script = write_script(job, roots.base(), roots.dnf, self.extra, self._kept(job))
        return f"to see it again: sh {script}   (or, for a shell in its build root: sh {script} shell)"

    def _kept(self, job: BuildJob) -> Path:
        return self.work / "again" / job.name


def _root_log(job: BuildJob) -> Path:
    return job.log.with_suffix(".root.log")


def _names_it(problem: Problem, require: str) -> bool:
    return any(word in problem.what for word in installable(require))


def _names(jobs: Sequence[BuildJob]) -> str:
    shown = jobs[:_NAMES_SHOWN]
    more = f" and {len(jobs) - len(shown)} more" if len(jobs) > len(shown) else ""
    return ", ".join(job.name for job in shown) + more

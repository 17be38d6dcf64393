"""Plays the builders of a run, and watches it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders import Built, Finished, unheard
from elpack.errors import BuildError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from elpack.builders import BuildJob, Repository
    from elpack.plan.model import Package


@dataclass
class Workshop:
    """Plays all builders of a run. What it builds is the spec's text, so equal specs give equal RPMs."""

    failing: set[str] = field(default_factory=set)
    """Source packages, by name-version-release, that do not build."""
    error: type[Exception] = BuildError
    hook: Callable[[BuildJob], None] = lambda _: None
    subpackages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """File names of the RPMs beside the main one, by source package."""
    batches: list[list[str]] = field(default_factory=list)
    roots: dict[str, set[str]] = field(default_factory=dict)
    jobs: dict[str, BuildJob] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def builder(self, repositories: tuple[Repository, ...]) -> _Builder:
        return _Builder(self, repositories)

    @property
    def built(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


@dataclass
class _Builder:
    workshop: Workshop
    repositories: tuple[Repository, ...]
    name: str = "played"

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        workshop = self.workshop
        with workshop.lock:
            workshop.batches.append([job.name for job in jobs])
            workshop.at_once += 1
            workshop.most_at_once = max(workshop.most_at_once, workshop.at_once)
            inside = {path.name for repository in self.repositories for path in Path(repository.location).glob("*.rpm")}
            workshop.roots |= {job.name: inside for job in jobs}
            workshop.jobs |= {job.name: job for job in jobs}
        try:
            done = []
            for job in jobs:
                done.append(self._one(job, out))
                finished(done[-1])
            return tuple(done)
        finally:
            with workshop.lock:
                workshop.at_once -= 1

    def _one(self, job: BuildJob, out: Path) -> Built:
        self.workshop.hook(job)
        if job.name in self.workshop.failing:
            error = self.workshop.error
            raise error(Problem("rpmbuild ended with 1", where=job.name)) if error is not OSError else OSError(28, "x")
        (out / job.name).mkdir(parents=True)
        srpm, rpm = out / job.name / f"{job.name}.src.rpm", out / job.name / f"{job.name}.noarch.rpm"
        more = tuple(out / job.name / name for name in self.workshop.subpackages.get(job.name, ()))
        for path in (srpm, rpm, *more):
            path.write_text(f"{path.name.removeprefix(job.name)} {job.spec.read_text()}")
        return Built(job, srpm, (rpm, *more), 1.5)


@dataclass
class Notes:
    """Watches a run and remembers."""

    events: list[tuple[str, str]] = field(default_factory=list)

    def started(self, packages: Sequence[Package]) -> None:
        self.events += [("started", package.node) for package in packages]

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        self.events.append(("cached" if cached else "built", package.node))

    def postponed(self, packages: Sequence[Package]) -> None:
        self.events += [("postponed", package.node) for package in packages]

    def failed(self, package: Package) -> None:
        self.events.append(("failed", package.node))

    def notice(self, text: str) -> None:
        self.events.append(("notice", text))

    def of(self, kind: str) -> list[str]:
        return [text for event, text in self.events if event == kind]

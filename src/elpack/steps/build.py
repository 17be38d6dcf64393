"""Builds what the plan asks for and the store does not have yet: clean roots, in parallel, nothing twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from elpack.builders import BuildJob, Repository
from elpack.errors import BuildError, DiskFullError, Problem
from elpack.plan.keys import package_key, root_nodes, urgency
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from elpack.builders import Builder, Built
    from elpack.model import Sha256
    from elpack.plan.model import NodeId, Package, Plan
    from elpack.store import Entry, Store

WHEELS_AT_ONCE = 24
"""How many wheels share one build root: enough to forget its cost, few enough to keep all cores busy."""


class Watcher(Protocol):
    """Is told what happens to each package."""

    def started(self, packages: Sequence[Package]) -> None:
        """Take note that building of these has begun, in one root."""

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        """Take note that the package is in the store."""

    def failed(self, package: Package) -> None:
        """Take note that the package did not build."""

    def notice(self, text: str) -> None:
        """Say something that the user should know."""


@dataclass(frozen=True, slots=True)
class Result:
    """One package's RPMs and source RPM in the store. `seconds` is what building took, whenever that was."""

    node: NodeId
    entry: Entry
    cached: bool

    @property
    def seconds(self) -> float:
        """Wall seconds of the build that made it."""
        return float(self.entry.info["seconds"])

    @property
    def rpms(self) -> tuple[Path, ...]:
        """Binary RPMs."""
        return tuple(file.path for file in self.entry.files if not file.path.name.endswith(".src.rpm"))

    @property
    def srpm(self) -> Path:
        """The source RPM."""
        return next(file.path for file in self.entry.files if file.path.name.endswith(".src.rpm"))

    def digests(self) -> list[Sha256]:
        """Return the digests of the binary RPMs."""
        return [file.sha256 for file in self.entry.files if not file.path.name.endswith(".src.rpm")]


@dataclass(slots=True)
class Build:
    """One run over a plan. `specs` are the rendered texts, `sources` the files by digest.

    `builder` makes a builder whose roots may also draw from the repositories that it is given.
    """

    plan: Plan
    specs: Mapping[NodeId, str]
    sources: Mapping[str, Path]
    store: Store
    base: str
    builder: Callable[[tuple[Repository, ...]], Builder]
    work: Path
    logs: Path
    watcher: Watcher
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = False
    _done: dict[NodeId, Result] = field(default_factory=dict)
    _failed: dict[NodeId, tuple[Problem, ...]] = field(default_factory=dict)

    def run(self) -> dict[NodeId, Result]:
        """Build all packages. Raises `BuildError` with every failure; what was finished stays in the store."""
        with self.store:
            self._run()
            for problem in self.store.take_notices():
                self.watcher.notice(str(problem))
        return self._done

    def _run(self) -> None:
        roots, order = root_nodes(self.plan), urgency(self.plan)
        waiting = sorted(self.plan.packages, key=lambda package: (-order[package.node], package.node))
        running: dict[Future[list[Result]], list[Package]] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while waiting or running:
                    waiting = self._take_cached(waiting, roots, self.store.entry)
                    ready = [package for package in waiting if self._is_ready(package, roots)]
                    while ready and len(running) < self.workers and self._may_start():
                        batch = self._batch(ready, len(running))
                        running[pool.submit(self._build, batch, roots)] = batch
                        ready = [package for package in ready if package not in batch]
                        waiting = [package for package in waiting if package not in batch]
                    if not running:
                        break
                    self._collect(running)
            except BaseException:
                for future in running:
                    future.cancel()
                raise
        if self._failed:
            skipped = [package.rpm for package in waiting]
            problems = [problem for found in self._failed.values() for problem in found]
            if skipped:
                problems.append(Problem(f"not built, because they wait for these: {', '.join(skipped)}"))
            raise BuildError(*problems)

    def predict(self) -> frozenset[NodeId]:
        """Return which packages the store has already, as far as their keys are known without building."""
        self._take_cached(list(self.plan.packages), root_nodes(self.plan), self.store.peek)
        return frozenset(self._done)

    def _may_start(self) -> bool:
        return self.keep_going or not self._failed

    def _take_cached(
        self, waiting: list[Package], roots: Mapping[NodeId, tuple[NodeId, ...]], look: Callable[[str], Entry | None]
    ) -> list[Package]:
        """Move what the store has already to what is done; that may make more keys known, so until none is left."""
        found = True
        while found:
            found = False
            for package in list(waiting):
                if not self._is_ready(package, roots):
                    continue
                entry = look(self._key(package, roots))
                if entry is not None:
                    self._done[package.node] = Result(package.node, entry, cached=True)
                    self.watcher.finished(package, 0.0, cached=True)
                    waiting.remove(package)
                    found = True
        return waiting

    def _is_ready(self, package: Package, roots: Mapping[NodeId, tuple[NodeId, ...]]) -> bool:
        return all(node in self._done for node in roots[package.node])

    def _key(self, package: Package, roots: Mapping[NodeId, tuple[NodeId, ...]]) -> str:
        inside = [digest for node in roots[package.node] for digest in self._done[node].digests()]
        return package_key(package, self.specs[package.node], self.plan.target, self.base, inside)

    def _batch(self, ready: list[Package], busy: int) -> list[Package]:
        """Return what to build next in one root: the most urgent package, or, if that is a wheel, a group of wheels.

        Repackaging runs no code from outside, so wheels may share a root.
        """
        if ready[0].template != "wheel.spec.j2":
            return ready[:1]
        wheels = [package for package in ready if package.template == "wheel.spec.j2"]
        share = -(-len(wheels) // max(1, self.workers - busy))
        return wheels[: min(WHEELS_AT_ONCE, max(1, share))]

    def _build(self, batch: list[Package], roots: Mapping[NodeId, tuple[NodeId, ...]]) -> list[Result]:
        self.watcher.started(batch)
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=self.work))
        try:
            inside = sorted({node for package in batch for node in roots[package.node]})
            repositories = (self._repository(inside, folder),) if inside else ()
            jobs = [self._job(package, folder) for package in batch]
            built = self.builder(repositories).build(jobs, folder / "out")
            return [self._keep(package, result, roots) for package, result in zip(batch, built, strict=True)]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _keep(self, package: Package, built: Built, roots: Mapping[NodeId, tuple[NodeId, ...]]) -> Result:
        info = {"name": package.nvr, "node": package.node, "seconds": round(built.seconds, 2)}
        entry = self.store.put(self._key(package, roots), [*built.rpms, built.srpm], info)
        return Result(package.node, entry, cached=False)

    def _repository(self, nodes: Iterable[NodeId], folder: Path) -> Repository:
        """Return a repository of exactly those finished packages that a build root may hold."""
        into = folder / "repository"
        into.mkdir()
        for node in nodes:
            for path in self._done[node].rpms:
                os.link(path, into / path.name)
        create_repository(into)
        return Repository("elpack", str(into), priority=1)

    def _job(self, package: Package, folder: Path) -> BuildJob:
        own = folder / package.nvr
        own.mkdir()
        spec = own / f"{package.rpm}.spec"
        spec.write_text(self.specs[package.node])
        sources = [_placed(self.sources[source.sha256], own / source.filename) for source in package.sources]
        for name, text in package.generated:
            (own / name).write_text(text)
            sources.append(own / name)
        nodes = self.plan.by_node()
        requires = [require.requirement for require in package.build_requires]
        requires += [f"{nodes[node].rpm} = {nodes[node].evr}" for node in package.waits_for]
        return BuildJob(package.nvr, spec, tuple(sources), tuple(requires), self.logs / f"{package.nvr}.log")

    def _collect(self, running: dict[Future[list[Result]], list[Package]]) -> None:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            batch = running.pop(future)
            error = future.exception()
            if error is None:
                for package, result in zip(batch, future.result(), strict=True):
                    self._done[package.node] = result
                    self.watcher.finished(package, result.seconds, cached=False)
            elif isinstance(error, BuildError) and not isinstance(error, DiskFullError):
                for package in batch:
                    self._failed[package.node] = error.problems if package is batch[0] else ()
                    self.watcher.failed(package)
            else:
                raise error


def published(plan: Plan, results: Mapping[NodeId, Result]) -> list[Path]:
    """Return the binary RPMs that customers see, sorted by name."""
    nodes = plan.by_node()
    return sorted(path for node, result in results.items() if nodes[node].role.published for path in result.rpms)


def _placed(path: Path, name: Path) -> Path:
    """Give a source the name that the spec knows it by."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)
    return name

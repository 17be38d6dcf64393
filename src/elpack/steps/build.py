"""Builds what the plan asks for and the store does not have yet: clean roots, in parallel, nothing twice."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders import BuildJob, Built, Repository
from elpack.config.builds import Builds
from elpack.errors import BuildError, ForeignArchError, Problem
from elpack.model import ARCHES
from elpack.plan.keys import package_key, urgency
from elpack.run import stop_logged
from elpack.steps.results import Result
from elpack.steps.watch import Unwatched
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from elpack.builders import Builder
    from elpack.model import Target
    from elpack.plan.model import NodeId, Package
    from elpack.steps.watch import Watcher
    from elpack.store import Entry, Store

_OWN_CODE = frozenset({"wheel.spec.j2", "bundle.spec.j2", "macros.spec.j2", "runtime.spec.j2"})
"""Templates of packages in whose builds no code from outside runs: they carry files from here to there."""

WHEELS_AT_ONCE = 24
"""How many wheels share one build root: enough to forget its cost, few enough to keep all cores busy."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a batch: what is in the store, what is not, and why not."""

    results: tuple[Result, ...]
    left: tuple[Package, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """Where packages of one architecture are built.

    base: digest of all that a build root is made of beside the plan's own packages. `builder` makes a builder whose
    roots may also draw from the repositories that it is given. rank: those of a lower one are begun first, and a
    failure of a higher one does not keep them from that.
    """

    target: Target
    base: str
    builder: Callable[[tuple[Repository, ...]], Builder]
    logs: Path
    rank: int = 0


@dataclass(slots=True)
class Build:
    """One run over packages, each on its side. `specs` are the rendered texts, `sources` the files by digest.

    roots: for each package, those that its build root may hold. `index` makes a folder of RPMs a repository. `limits`
    says what each dist's build may take of the machine. `stop` ends what runs in other threads, when the run is
    interrupted.
    """

    packages: tuple[Package, ...]
    roots: Mapping[NodeId, tuple[NodeId, ...]]
    sides: Mapping[NodeId, Side]
    specs: Mapping[NodeId, str]
    sources: Mapping[str, Path]
    store: Store
    work: Path
    watcher: Watcher = field(default_factory=Unwatched)
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = False
    limits: Builds = field(default_factory=Builds)
    index: Callable[[Path], None] = create_repository
    stop: Callable[[], None] = stop_logged
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set, no further build is begun, and the run ends as soon as those that run have."""
    _done: dict[NodeId, Result] = field(default_factory=dict)
    _failed: dict[NodeId, tuple[Problem, ...]] = field(default_factory=dict)
    _alone: set[NodeId] = field(default_factory=set)
    _kinds: set[type[BuildError | ForeignArchError]] = field(default_factory=set)

    def run(self) -> dict[NodeId, Result]:
        """Build all packages; what was finished stays in the store.

        Raises `BuildError` with every failure, `ForeignArchError` where none of them is the packages' own.
        """
        with self.store:
            # the store's lock is ours, so this is what a killed run left
            shutil.rmtree(self.work, ignore_errors=True)
            self._run()
            for problem in self.store.take_notices():
                self.watcher.notice(str(problem))
        return self._done

    def _run(self) -> None:
        order = urgency(self.packages, self.roots)

        def queue(packages: Iterable[Package]) -> list[Package]:
            return sorted(packages, key=lambda one: (self.sides[one.node].rank, -order[one.node], one.node))

        waiting = queue(self.packages)
        running: dict[Future[_Outcome], list[Package]] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while (waiting or running) and not self.stopping.is_set():
                    waiting = self._take_cached(waiting, self.store.entry)
                    ready = [one for one in waiting if self._is_ready(one) and self._may_start(one)]
                    while ready and len(running) < self.workers:
                        batch = self._batch(ready, len(running))
                        running[pool.submit(self._build, batch)] = batch
                        ready = [package for package in ready if package not in batch]
                        waiting = [package for package in waiting if package not in batch]
                    if not running:
                        break
                    waiting = queue([*waiting, *self._collect(running)])
                if self.stopping.is_set():
                    self._end(running)
            except BaseException:
                self._end(running)
                raise
        if self._failed or waiting:
            kind = ForeignArchError if self._kinds == {ForeignArchError} else BuildError
            raise kind(*self._problems(waiting))

    def _end(self, running: Iterable[Future[_Outcome]]) -> None:
        """End what runs. What it finished meanwhile is kept."""
        left = set(running)
        while left:
            self.stop()
            _, left = wait(left, timeout=1)

    def _problems(self, waiting: list[Package]) -> list[Problem]:
        problems = [problem for found in self._failed.values() for problem in found]
        held = [package for package in waiting if self._waits_for_failed(package)]
        others = [package.rpm for package in waiting if package not in held]
        if held:
            names = ", ".join(package.rpm for package in held)
            problems.append(Problem(f"not built, because they wait for these: {names}"))
        if others:
            problems.append(Problem(f"not begun after that: {', '.join(others)}", fix="--keep-going builds them, too"))
        return problems

    def _waits_for_failed(self, package: Package) -> bool:
        queue, seen = [package.node], set()
        while queue:
            node = queue.pop()
            if node not in seen:
                seen.add(node)
                queue += self.roots[node]
        return not seen.isdisjoint(self._failed)

    def arch_of(self, package: Package) -> str:
        """Return the architecture on whose side a package is built."""
        return self.sides[package.node].target.arch

    def done(self) -> Mapping[NodeId, Result]:
        """Return what is finished by now, and told; another thread may ask while the run goes on."""
        return dict(self._done)

    def has_failed(self, nodes: Collection[NodeId]) -> bool:
        """Tell whether one of these failed by now, and nothing of them is begun any more."""
        return not self.keep_going and not self._failed.keys().isdisjoint(nodes)

    def predict(self) -> frozenset[NodeId]:
        """Return which packages the store has already, as far as their keys are known without building.

        That is no more than a look: a run still verifies the files of each.
        """
        look = replace(self, _done={})
        look._take_cached(list(self.packages), self.store.peek)  # noqa: SLF001 - our own
        return frozenset(look._done)  # noqa: SLF001

    def _may_start(self, package: Package) -> bool:
        rank = self.sides[package.node].rank
        return self.keep_going or not any(self.sides[node].rank <= rank for node in self._failed)

    def _take_cached(self, waiting: list[Package], look: Callable[[str], Entry | None]) -> list[Package]:
        """Move what the store has already to what is done; that may make more keys known, so until none is left."""
        found = True
        while found:
            found = False
            for package in list(waiting):
                if not self._is_ready(package):
                    continue
                entry = look(self._key(package))
                if entry is not None:
                    self.watcher.finished(package, 0.0, cached=True)
                    self._done[package.node] = Result(package.node, entry, cached=True)
                    waiting.remove(package)
                    found = True
        return waiting

    def _is_ready(self, package: Package) -> bool:
        return all(node in self._done for node in self.roots[package.node])

    def _key(self, package: Package) -> str:
        inside = [digest for node in self.roots[package.node] for digest in self._done[node].digests()]
        side = self.sides[package.node]
        return package_key(package, self.specs[package.node], side.target, side.base, inside)

    def _batch(self, ready: list[Package], busy: int) -> list[Package]:
        """Return what to build next in one root: the most urgent package, or, if that is a wheel, a group of wheels.

        Repackaging runs no code from outside, so wheels may share a root.
        """
        if not self._may_share(ready[0]):
            return ready[:1]
        side = self.sides[ready[0].node]
        wheels = [package for package in ready if self._may_share(package) and self.sides[package.node] is side]
        share = -(-len(wheels) // max(1, self.workers - busy))
        return wheels[: min(WHEELS_AT_ONCE, max(1, share))]

    def _may_share(self, package: Package) -> bool:
        return package.template == "wheel.spec.j2" and package.node not in self._alone

    def _build(self, batch: list[Package]) -> _Outcome:
        self.watcher.started(batch)
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=self.work))
        try:
            inside = sorted({node for package in batch for node in self.roots[package.node]})
            repositories = (self._repository(inside, folder),) if inside else ()
            jobs = [self._job(package, folder) for package in batch]
            builder = self.sides[batch[0].node].builder(repositories)
            return self._attempt(batch, jobs, builder, folder / "out")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _attempt(self, batch: list[Package], jobs: list[BuildJob], builder: Builder, out: Path) -> _Outcome:
        by_job = dict(zip((job.name for job in jobs), batch, strict=True))
        kept: list[Result] = []

        def keep(built: Built) -> None:
            # at once: nothing that happens to the others, nor to us, takes it away
            kept.append(self._keep(by_job[built.job.name], built))

        try:
            builder.build(jobs, out, keep)
        except (BuildError, ForeignArchError) as error:
            self._kinds.add(type(error))
            done = {result.node for result in kept}
            return _Outcome(tuple(kept), tuple(item for item in batch if item.node not in done), error.problems)
        return _Outcome(tuple(kept))

    def _keep(self, package: Package, built: Built) -> Result:
        info = {"name": package.nvr, "node": package.node, "seconds": round(built.seconds, 2)}
        entry = self.store.put(self._key(package), [*built.rpms, built.srpm], info)
        self.store.journal({"event": "built", **info})
        return Result(package.node, entry, cached=False)

    def _repository(self, nodes: Iterable[NodeId], folder: Path) -> Repository:
        """Return a repository of exactly those finished packages that a build root may hold."""
        into = folder / "repository"
        into.mkdir()
        for node in nodes:
            for path in self._done[node].rpms:
                os.link(path, into / path.name)
        self.index(into)
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
        nodes = {one.node: one for one in self.packages}
        side = self.sides[package.node]
        requires = [require.requirement for require in package.build_requires]
        requires += [f"{nodes[node].rpm} = {nodes[node].evr}" for node in package.waits_for]
        return BuildJob(
            package.nvr,
            spec,
            tuple(sources),
            tuple(requires),
            side.logs / f"{package.nvr}.log",
            dist=str(package.dist),
            limits=self.limits.of(package.dist),
            foreign=package.template not in _OWN_CODE,
            # rpm writes the number of --target's architecture into the lead, of noarch packages as well
            arch=ARCHES[0] if package.noarch else side.target.arch,
        )

    def _collect(self, running: dict[Future[_Outcome], list[Package]]) -> list[Package]:
        """Wait until a batch has ended, take note of what became of it, and return what is to be begun again.

        Which package of a batch made it fail is known for sure only when it fails alone. The first that was not
        finished is the suspect; it gets a root of its own, and the others share one again.
        """
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        again: list[Package] = []
        for future in done:
            batch, outcome = running.pop(future), future.result()
            by_node = {package.node: package for package in batch}
            for result in outcome.results:
                self.watcher.finished(by_node[result.node], result.seconds, cached=False)
                self._done[result.node] = result
            if not outcome.left or self.stopping.is_set():
                continue
            suspect = outcome.left[0]
            if len(batch) == 1:
                self._failed[suspect.node] = outcome.problems
                self.store.journal({"event": "failed", "name": suspect.nvr, "node": suspect.node})
                self.watcher.failed(suspect)
            else:
                self._alone.add(suspect.node)
                self.watcher.postponed(outcome.left)
                again += outcome.left
        return again


def _placed(path: Path, name: Path) -> Path:
    """Give a source the name that the spec knows it by."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)
    return name

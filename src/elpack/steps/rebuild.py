"""Builds a release once more, otherwise and elsewhere, by `elpack rpm` itself: same inputs, a store of its own."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.roots import unmount_below
from elpack.errors import BuildError, ConfigError, Problem
from elpack.naming import dist_name
from elpack.run import Command, Completed
from elpack.steps.exchange import link_or_copy
from elpack.steps.otherwise import Variation
from elpack.store.lock import held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from elpack.plan.model import NodeId, Plan
    from elpack.run import Runner
    from elpack.steps.compare import Comparison
    from elpack.steps.otherwise import Otherwise
    from elpack.steps.results import Result
    from elpack.workspace import Workspace

_INPUTS = ("checkouts", "uv-cache")
_NOT_PRELOADED = b"cannot be preloaded"
_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Places:
    """Where the two builds' results and the second build's work lie; gone after, unless they differ."""

    home: Path

    @property
    def first(self) -> Path:
        """The results of the store as it is."""
        return self.home / "first"

    @property
    def second(self) -> Path:
        """The results of the second build."""
        return self.home / "second"

    @property
    def work(self) -> Path:
        """The second build's work folder, of another length than the first's."""
        return self.home / f"work-{'elsewhere-' * 2}{self.home.name[-4:]}"


@dataclass(frozen=True, slots=True)
class Second:
    """What a second build gave. `place` is where the results lie below each of the two folders of results.

    built: how many packages were to be built again. seconds: of wall time, for all of it.
    """

    places: Places
    place: Path
    comparison: Comparison
    variations: tuple[Variation, ...]
    built: int
    seconds: float

    @property
    def results(self) -> tuple[Path, Path]:
        """The results of both builds."""
        return self.places.first / self.place, self.places.second / self.place


@contextmanager
def places(workspace: Workspace, inside: Path | None, runner: Runner) -> Iterator[Places]:
    """Give folders of this run's own, in the work folder or in the named one; what an earlier one left there goes.

    Afterwards they go; with `keep`, the results of both builds stay until the next time. Raises `StoreError` while
    another second build is at work there.
    """
    parent = inside or workspace.work / "rebuild"
    parent.mkdir(parents=True, exist_ok=True)
    with held(parent / ".rebuild.lock"):
        for old in parent.glob("rebuild-*"):
            _remove(old, runner)
        found = Places(Path(tempfile.mkdtemp(prefix="rebuild-", dir=parent)).resolve())
        found.home.chmod(0o755)
        try:
            yield found
        finally:
            _remove(found.work if (found.home / "keep").exists() else found.home, runner)


def _remove(folder: Path, runner: Runner) -> None:
    unmount_below(folder, runner)
    shutil.rmtree(folder, ignore_errors=True)


def keep(found: Places) -> None:
    """Let the results of both builds stay, for who wants to look at a difference."""
    (found.home / "keep").touch()


def named_nodes(plan: Plan, dists: Iterable[str]) -> frozenset[NodeId]:
    """Return the nodes that carry these dists, in whatever role; all of the plan's for none.

    Raises `ConfigError` with every name that the plan does not know.
    """
    wanted = [dist_name(dist) for dist in dists]
    known = {package.dist for package in plan.packages}
    problems = []
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), 1)
            fix = f"did you mean {near[0]}?" if near else "elpack plan --all lists them"
            problems.append(Problem(f"the plan has no dist {name}", where="verify --rebuild", fix=fix))
    if problems:
        raise ConfigError(*problems)
    return frozenset(package.node for package in plan.packages if not wanted or package.dist in wanted)


def seed(workspace: Workspace, work: Path, results: Mapping[NodeId, Result], again: frozenset[NodeId]) -> None:
    """Give the second build its inputs, the target's stand-in, and of the store what it is not to build `again`."""
    work.mkdir(parents=True)
    _copy_folder(workspace.downloads, work / "downloads")
    for name in _INPUTS:
        _copy_folder(workspace.work / name, work / name)
    standin = workspace.work / "standin"
    if standin.exists():
        (work / "standin").symlink_to(standin.resolve())
    for node, result in results.items():
        if node not in again:
            entry = result.entry.paths[0].parent
            _copy_folder(entry, work / "store" / entry.parent.name / entry.name)


def build_again(
    arguments: tuple[str, ...], otherwise: Otherwise, found: Places, log: Path, runner: Runner
) -> Completed:
    """Run `elpack rpm` with these arguments otherwise. Raises `BuildError` with the end of its log if that fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    argv = (*otherwise.prefix, sys.executable, "-m", "elpack", "rpm", *arguments)
    argv += ("--work", str(found.work), "--dist", str(found.second), "--workers", str(otherwise.workers))
    argv += ("--preload", str(otherwise.clock)) if otherwise.clock else ()
    done = runner(Command(argv, cwd=found.home, env=otherwise.env, log=log))
    if done.returncode != 0:
        what = f"the second build ended with {done.returncode}\n{done.tail()}"
        raise BuildError(Problem(what, where=str(log), fix="what fails there and not here hangs on what was varied"))
    return done


def varied(otherwise: Otherwise, first: Workspace, found: Places, logs: Path) -> tuple[Variation, ...]:
    """Return all variations, with those of the folders, and without the claim of a clock that no build could load."""
    mine, others = first.work.resolve(), found.work
    same = _file_system(mine) == _file_system(others.parent)
    lengths = f"{len(str(mine))} and {len(str(others))} characters"
    system = Variation("file system, and its order of entries", "", "--rebuild-in names a folder on another one")
    if not same:
        system = replace(system, value=f"{_file_system(mine)} and {_file_system(others.parent)}", why_not="")
    clock = [_checked_clock(variation, logs) for variation in otherwise.variations]
    constant = Variation("kernel, processor, user", "", "one machine has one; builds run as one unprivileged user")
    return (Variation("work folder", f"{others}, {lengths}"), *clock, system, constant)


def _checked_clock(variation: Variation, logs: Path) -> Variation:
    if variation.what == "clock inside the builds" and variation.value:
        for log in sorted(logs.glob("*.log")):
            if _NOT_PRELOADED in log.read_bytes():
                return replace(variation, value="", why_not=f"the build root cannot load the library, see {log}")
    return variation


def _file_system(path: Path) -> str:
    """Return type and device of the file system that a folder is on, such as ``ext4 (254:0)``."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        if line.split()[2] == number:
            return f"{line.partition(' - ')[2].split()[0]} ({number})"
    return number


def _copy_folder(source: Path, into: Path) -> None:
    if source.exists():
        shutil.copytree(source, into, symlinks=True, copy_function=link_or_copy)

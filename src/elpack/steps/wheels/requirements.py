"""What a package needs on an interpreter, as files: locked wheels, and wheels built of locked sdists."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from elpack.buildlock import build_requirements, read_build_lock
from elpack.errors import BuildLockError, ElpackError, LockError, Problem
from elpack.plan.policy import best_wheel
from elpack.selection import select
from elpack.steps.closure import fetch, selected_dists
from elpack.steps.facts import read_facts
from elpack.targets import resolve_target
from elpack.wheels.columns import fitting_tags
from elpack.wheels.model import Implementation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from elpack.model import RemoteFile, SdistFacts, SelectedDist
    from elpack.steps.closure import Sources
    from elpack.steps.lock_sandbox import LockSandbox
    from elpack.steps.project import Project
    from elpack.steps.wheels.interpreters import Found
    from elpack.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file that is installed, by its digest."""

    name: str
    path: Path
    sha256: str


@dataclass(slots=True)
class Needs:
    """Files to install, and what could not be had, with the reason."""

    files: dict[str, Pinned] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Locked:
    """Gives files from the locks. compile: native code of sdists as well.

    house: what builds of wheels may install, by interpreter and architecture, for those that the build lock is not for.
    """

    project: Project
    sources: Sources
    workspace: Workspace
    sandbox: LockSandbox
    glibc: tuple[int, int]
    compile: bool = False
    offline: bool = False
    house: Mapping[tuple[str, str], tuple[RemoteFile, ...]] = field(default_factory=dict)

    def dists(self, python: Found) -> dict[NormalizedName, SelectedDist]:
        """Return the application's closure on an interpreter, by name. Raises `LockError`."""
        return {dist.name: dist for dist in selected_dists(self.project, self.sources, python.column)}

    def needs(self, package: NormalizedName, python: Found, own: Mapping[NormalizedName, Pinned]) -> Needs:
        """Return what a package of the closure needs, itself left out; `own` holds wheels that were made here."""
        closure = self.dists(python)
        return self._files((closure[name] for name in reached(package, closure) if name != package), python, own)

    def testing(self, wanted: Iterable[str], python: Found) -> Needs:
        """Return the files of pytest and its plugins, of the application's lock; none where it has none."""
        lock = self.sources.lock
        known = {dist.name for dist in lock.dists} if lock else set()
        found = Needs()
        if lock is None or "pytest" not in known:
            return found
        for name in sorted({canonicalize_name(one) for one in wanted} & known | {canonicalize_name("pytest")}):
            try:
                dists = select(lock, name, python.column, first_party=frozenset(self.sources.local)).dists
            except LockError as error:
                found.lacking[name] = error.problems[0].what
                continue
            more = self._files(dists, python, {})
            found.files |= more.files
            found.lacking |= more.lacking
        return found

    def built(self, sdist: Path, sha256: str, python: Found) -> Path:
        """Return the wheel of an sdist, built with locked build requirements where there is no network.

        Raises `ElpackError`: no build lock for that interpreter, a requirement without wheel, a failing backend.
        """
        folder = self.workspace.work / "wheel-tests" / "built" / f"{sha256[:32]}-{python.column.key}"
        if found := sorted(folder.glob("*.whl")):
            return found[0]
        return self._build(sdist, python, folder)

    def _build(self, sdist: Path, python: Found, folder: Path) -> Path:
        from elpack.steps.wheels.environment import Environment

        needs = self._build_requirements(sdist.name, python)
        if needs.lacking:
            told = "; ".join(f"{one}: {why}" for one, why in sorted(needs.lacking.items()))
            raise BuildLockError(Problem(f"build requirements are not there for it ({told})", sdist.name))
        environment = Environment.fresh(self.sandbox, python)
        try:
            environment.install(needs.files.values())
            wheel = environment.build(sdist)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(wheel, folder / wheel.name)
            return folder / wheel.name
        finally:
            environment.remove()

    def _build_requirements(self, sdist: str, python: Found) -> Needs:
        path = self.workspace.build_lock
        targets = [resolve_target(choice, arch) for choice in self.project.release.targets for arch in choice.arches]
        place = (python.column.python, python.column.arch)
        target = next((one for one in targets if (one.python, one.arch) == place), None)
        cpython = python.column.interpreter.implementation is Implementation.CPYTHON
        if target is None or not cpython or not path.is_file():
            return self._house(python)
        text = path.read_text()
        closure = {dist.name: dist for dist in read_build_lock(text, str(path), target)}
        first = {canonicalize_name(Requirement(one).name) for one in build_requirements(text, str(path)).get(sdist, ())}
        names = {one for start in first if start in closure for one in reached(start, closure)}
        return self._files((closure[one] for one in sorted(names)), python, {})

    def _house(self, python: Found) -> Needs:
        """Return the wheels that pylock.wheels.toml has; what PyPy brings itself is a sdist there, and left out."""
        place = (python.tag, python.column.arch)
        if place not in self.house:
            what = f"build requirements are not locked for {python.column}"
            raise BuildLockError(Problem(what, f"{self.workspace.build_lock.name}, pylock.wheels.toml"))
        wheels = [file for file in self.house[place] if file.filename.endswith(".whl")]
        paths = fetch(wheels, self.sources, self.workspace, offline=self.offline)
        names = {file.sha256: parse_wheel_filename(file.filename)[0] for file in wheels}
        return Needs({name: Pinned(name, paths[sha256], sha256) for sha256, name in names.items()})

    def _files(self, dists: Iterable[SelectedDist], python: Found, own: Mapping[NormalizedName, Pinned]) -> Needs:
        needs = Needs()
        ranks = fitting_tags(python.column, self.glibc)
        chosen: dict[NormalizedName, RemoteFile] = {}
        for dist in dists:
            if dist.name in own:
                needs.files[dist.name] = own[dist.name]
            elif file := best_wheel(dist.wheels, ranks) or dist.sdist:
                chosen[dist.name] = file
            else:
                needs.lacking[dist.name] = "no wheel fits, and there is no sdist"
        paths = fetch(chosen.values(), self.sources, self.workspace, offline=self.offline)
        for name, file in sorted(chosen.items()):
            path = paths[file.sha256]
            if file.filename.endswith(".whl"):
                needs.files[name] = Pinned(name, path, file.sha256)
            else:
                self._from_sdist(name, file, path, python, needs)
        return needs

    def _from_sdist(self, name: NormalizedName, file: RemoteFile, path: Path, python: Found, needs: Needs) -> None:
        facts: SdistFacts = read_facts([file], {file.sha256: path}, self.workspace.facts)[file.sha256]  # type: ignore[assignment]
        if facts.native and not self.compile:
            needs.lacking[name] = "it has no wheel, and it is compiled on demand only (--compile)"
            return
        try:
            wheel = self.built(path, file.sha256, python)
        except ElpackError as error:
            needs.lacking[name] = f"no wheel can be built: {error.problems[0].what}"
            return
        needs.files[name] = Pinned(name, wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())


def reached(start: NormalizedName, closure: Mapping[NormalizedName, SelectedDist]) -> Iterator[NormalizedName]:
    """Yield what a dist needs, itself first; each once."""
    queue, seen = [start], {start}
    while queue:
        name = queue.pop(0)
        if name not in closure:
            continue
        yield name
        for one in closure[name].requires:
            if one not in seen:
                seen.add(one)
                queue.append(one)

"""What `elpack wheel test` tries: the release's packages, on the interpreters of this machine."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders.emulation import MACHINE, emulation, how_to_emulate
from elpack.errors import BuildLockError, Problem, WheelError
from elpack.run import run
from elpack.steps.closure import fetch, read_sources
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.project import read_project
from elpack.steps.wheels.image import standin_root
from elpack.steps.wheels.interpreters import found_interpreters, standin_interpreters
from elpack.steps.wheels.judge import found_in
from elpack.steps.wheels.lock import locked_files
from elpack.steps.wheels.requirements import Locked
from elpack.steps.wheels.trial import Trials, materials_of, remember
from elpack.wheels.model import INTERPRETERS, Wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.config import Release
    from elpack.model import RemoteFile
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.steps.wheels.interpreters import Found
    from elpack.wheels.trial import Trial
    from elpack.workspace import Workspace

_OLDEST = (2, 17)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tried. Empty: all there is. standin: the stand-in image's interpreters where none is here.

    arch: another one than this machine's, whose stand-in image is emulated.
    """

    files: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    pythons: tuple[Path, ...] = ()
    standin: bool = False
    arch: str = MACHINE
    compile: bool = False
    suites: bool = True
    offline: bool = False


def try_release(
    workspace: Workspace, wanted: Wanted, progress: Callable[[str], None], runner: Runner = run
) -> tuple[Trial, ...]:
    """Return how each package went on each interpreter; each trial is kept in dist/wheels as soon as it ended.

    Raises `WheelError` for names that nobody knows.
    """
    project = read_project(workspace)
    made = workspace.dist / "wheels"
    places = list(wanted.files) or ([made] if made.is_dir() and any(made.glob("*.whl")) else [])
    files = found_in(places) if places else []
    sources = read_sources(project, workspace, offline=wanted.offline, runner=runner)
    folder = workspace.work / "wheel-tests" / "sandbox"
    shutil.rmtree(folder, ignore_errors=True)
    sandbox = LockSandbox.here(runner, folder, os.environ)
    if wanted.arch == MACHINE:
        found = found_interpreters(runner, sandbox.uv, os.environ, wanted.pythons)
    else:
        found = _need_emulation(wanted)
    if missing := [tag for tag in _tags(project.release, wanted) if wanted.standin and tag not in found]:
        root = standin_root(wanted.arch, workspace, runner, progress)
        found |= standin_interpreters(root, sandbox, missing, wanted.arch)
    pythons = _chosen(project.release, wanted, found)
    sdists = _sdists(project.release, sources, workspace, wanted)
    glibc = own_glibc()
    house = _house(project, sources, workspace, wanted, runner)
    locked = Locked(project, sources, workspace, sandbox, glibc, wanted.compile, wanted.offline, house)
    materials = materials_of(files, sdists, wanted.packages)
    try:
        return Trials(locked, glibc, wanted.suites).run(
            materials, pythons, progress, lambda trial: remember([trial], made)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _need_emulation(wanted: Wanted) -> dict[str, Found]:
    """Raise `WheelError` where another architecture's interpreters cannot run; return that none was found yet."""
    state = emulation(wanted.arch)
    if state.obstacle:
        what = f"interpreters of {wanted.arch} do not run here"
        raise WheelError(Problem(what, "--arch", state.obstacle, f"{state.fix}\n{how_to_emulate(wanted.arch)}"))
    if not wanted.standin:
        fix = "take the stand-in image's, which are emulated: --standin"
        raise WheelError(Problem(f"this machine has no interpreters for {wanted.arch}", "--arch", fix=fix))
    return {}


def own_glibc() -> tuple[int, int]:
    """Return this machine's glibc, an old one where it has another C library."""
    name, version = platform.libc_ver()
    parts = version.split(".")
    return (int(parts[0]), int(parts[1])) if name == "glibc" and len(parts) > 1 else _OLDEST


def _chosen(release: Release, wanted: Wanted, found: Mapping[str, Found]) -> dict[str, Found | None]:
    """Return the interpreters that are wanted, None for those that are not here."""
    unknown = [tag for tag in wanted.interpreters if tag not in INTERPRETERS]
    if unknown:
        fix = f"one of: {', '.join(INTERPRETERS)}"
        raise WheelError(*(Problem(f"there is no interpreter {tag}", "--interpreter", fix=fix) for tag in unknown))
    missing = [tag for tag in wanted.interpreters if tag not in found]
    if missing:
        here = ", ".join(found) or "none"
        fix = f"install it, or name its program by --python; here are: {here}"
        raise WheelError(*(Problem(f"{tag} is not on this machine", "--interpreter", fix=fix) for tag in missing))
    return {tag: found.get(tag) for tag in _tags(release, wanted)}


def _tags(release: Release, wanted: Wanted) -> tuple[str, ...]:
    return wanted.interpreters or tuple(one.tag for one in (release.wheels or Wheels()).interpreters)


def _house(
    project: Project, sources: Sources, workspace: Workspace, wanted: Wanted, runner: Runner
) -> Mapping[tuple[str, str], tuple[RemoteFile, ...]]:
    """Return what builds of wheels may install; nothing where no lock says so: then sdists are told as not built."""
    from elpack.steps.wheels.build import requirements_of, sdists_of

    sdists = sdists_of(project, workspace, runner, offline=wanted.offline, sources=sources)
    with suppress(BuildLockError):
        return locked_files(project.release.wheels or Wheels(), requirements_of(sdists), workspace)
    return {}


def _sdists(release: Release, sources: Sources, workspace: Workspace, wanted: Wanted) -> dict[NormalizedName, Path]:
    """Return the first-party sdists: of checkouts, else those that are pinned."""
    own = release.first_party_names()
    files: dict[NormalizedName, RemoteFile] = {name: file for name, file in sources.local.items() if name in own}
    for dist in sources.lock.dists if sources.lock else ():
        if dist.name in own and dist.name not in files and dist.sdist:
            files[dist.name] = dist.sdist
    paths = fetch(files.values(), sources, workspace, offline=wanted.offline)
    return {name: paths[file.sha256] for name, file in sorted(files.items())}

"""Builds wheels: those with machine code by cibuildwheel, the others by their backend in a sandbox; never twice."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from configparser import ConfigParser
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from elpack.archives import extract_sdist
from elpack.archives.rewheel import rewheel
from elpack.atomic import write_text
from elpack.builders.emulation import MACHINE, emulation
from elpack.engine.connect import engine, need_podman
from elpack.engine.service import lent
from elpack.errors import ArchiveError, CommandError, Problem, RegistryError, WheelError
from elpack.images.annotations import platform_of
from elpack.images.root import seconds
from elpack.intact import is_intact, remember
from elpack.run import Command, run
from elpack.steps.closure import fetch, read_sources
from elpack.steps.facts import read_facts
from elpack.steps.project import read_project
from elpack.steps.wheels.image import standin_for
from elpack.steps.wheels.judge import approve
from elpack.steps.wheels.judges import Judges, policies
from elpack.steps.wheels.lock import locked_files, renew_wheels_lock, wheelhouse
from elpack.steps.wheels.manifest import entries, missing_of, remove_stale, still_true, write_manifest
from elpack.steps.wheels.pure import PureWheels, pure_wheels
from elpack.steps.wheels.trial import recalled
from elpack.wheels.cibuildwheel import Run, configuration
from elpack.wheels.matrix import chosen, matrix
from elpack.wheels.model import MUSLLINUX, How, Wheels
from elpack.wheels.refusal import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.model import RemoteFile, SdistFacts
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.steps.wheels.image import StandinMade
    from elpack.wheels.model import Cell
    from elpack.workspace import Workspace

_FORMAT = "1"
"""Raise it when wheels are built in another way than before."""


@dataclass(frozen=True, slots=True)
class WantedWheels:
    """What the command line asked for; empty means all.

    standin: whether an image of our own takes the manylinux images' place; None where they cannot be pulled.
    """

    packages: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    standin: bool | None = None
    again: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """One place of the matrix and what came of it. seconds: of the build, 0 where it was there."""

    cell: Cell
    wheel: Path | None = None
    seconds: float = 0.0
    problems: tuple[Problem, ...] = ()
    """Why it failed."""

    @property
    def error(self) -> str:
        """Why it failed, as text."""
        return "\n".join(map(str, self.problems))


@dataclass(slots=True)
class _Building:
    """What the builds of one release share."""

    project: Project
    workspace: Workspace
    runner: Runner
    wanted: WantedWheels
    say: Callable[[str], None]
    wheels: Wheels
    sdists: Mapping[NormalizedName, tuple[SdistFacts, Path]]
    sources: Sources
    judges: Judges
    pure: PureWheels | None = None
    files: Mapping[tuple[str, str], tuple[RemoteFile, ...]] = field(default_factory=dict)
    images: dict[str, StandinMade] = field(default_factory=dict)
    emptied: set[Path] = field(default_factory=set)


def build_wheels(
    workspace: Workspace,
    wanted: WantedWheels,
    say: Callable[[str], None],
    runner: Runner = run,
    sources: Sources | None = None,
) -> tuple[Built, ...]:
    """Build what is missing of the matrix into dist/wheels, and tell of every place what came of it.

    A failed place keeps none of the others. The caller holds the workspace. sources: those that were read before.
    Every wheel is judged before it is kept; one that is refused counts as failed.
    Raises `WheelError` for words that name nothing, `BuildLockError`, `EngineError`, `ToolMissingError`.
    """
    project = read_project(workspace)
    wheels = project.release.wheels or Wheels()
    sources = sources or read_sources(project, workspace, offline=wanted.offline, runner=runner)
    sdists = sdists_of(project, workspace, runner, offline=wanted.offline, sources=sources)
    building = _Building(project, workspace, runner, wanted, say, wheels, sdists, sources, Judges(runner))
    cells = _wanted(building)
    if any(cell.how is not How.NOT for cell in cells):
        building.judges.need()
    if any(cell.how is How.IMAGE for cell in cells):
        cells = _with_images(building, cells)
    results = tuple(_one(building, cell) for cell in cells)
    _hand_over(building, results)
    return results


def _with_images(building: _Building, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Have the engine hold the images, and return the places that can be built in them."""
    _need_cibuildwheel()
    need_podman()
    workspace, say = building.workspace, building.say
    building.files = locked_files(building.wheels, requirements_of(building.sdists), workspace)
    with engine(workspace, building.runner) as podman:
        if not building.wanted.standin:
            try:
                for cell in cells:
                    if cell.how is How.IMAGE:
                        podman.pull(pinned_image(cell), platform_of(cell.arch))
            except RegistryError as error:
                if building.wanted.standin is False:
                    raise
                say(f"manylinux images cannot be pulled; a stand-in takes their place\n{error.problems[0].where}")
            else:
                return cells
        cells = _wanted(building, standin=True)
        for arch in dict.fromkeys(cell.arch for cell in cells if cell.how is How.STANDIN):
            building.images[arch] = standin_for(arch, workspace, podman, building.runner, say)
    return cells


def sdists_of(
    project: Project, workspace: Workspace, runner: Runner, *, offline: bool, sources: Sources | None = None
) -> dict[NormalizedName, tuple[SdistFacts, Path]]:
    """Return facts and file of each first-party sdist that gets wheels: of a checkout, else as it is pinned."""
    sources = sources or read_sources(project, workspace, offline=offline, runner=runner)
    wheels = project.release.wheels or Wheels()
    own = wheels.packages or tuple(sorted(project.release.first_party_names()))
    files = {name: file for name, file in sources.local.items() if name in own}
    for dist in sources.lock.dists if sources.lock else ():
        if dist.name in own and dist.name not in files and dist.sdist:
            files[dist.name] = dist.sdist
    paths = fetch(files.values(), sources, workspace, offline=offline)
    facts = read_facts(list(files.values()), paths, workspace.facts)
    return {name: (facts[files[name].sha256], paths[files[name].sha256]) for name in own if name in files}  # type: ignore[misc]


def renew_for_wheels(project: Project, workspace: Workspace, runner: Runner) -> int:
    """Write the lock of what wheels with machine code require; return of how many sdists, 0 where none needs it."""
    sdists = sdists_of(project, workspace, runner, offline=False)
    requires = requirements_of(sdists)
    if requires:
        wheels = project.release.wheels or Wheels()
        renew_wheels_lock(wheels, requires, workspace, runner, project.release.index)
    return sum(1 for facts, _ in sdists.values() if facts.native)


def requirements_of(sdists: Mapping[NormalizedName, tuple[SdistFacts, Path]]) -> tuple[str, ...]:
    """Return what the builds of those with machine code require, and pip to build one of their sdists."""
    every = {requirement for facts, _ in sdists.values() if facts.native for requirement in facts.build_requires}
    return tuple(sorted({*every, "setuptools", "wheel"})) if every else ()


def places(
    project: Project, sdists: Mapping[NormalizedName, tuple[SdistFacts, Path]], *, standin: bool
) -> tuple[Cell, ...]:
    """Return the whole matrix, with what can be built here."""
    wheels = project.release.wheels or Wheels()
    obstacles = {arch: "" if arch == MACHINE else emulation(arch).obstacle for arch in wheels.arches}
    return matrix(wheels, {name: bool(facts.native) for name, (facts, _) in sdists.items()}, obstacles, standin=standin)


def _wanted(building: _Building, *, standin: bool = False) -> tuple[Cell, ...]:
    """Return the places that were asked for. Raises `WheelError` for words that name none."""
    wanted, every = building.wanted, places(building.project, building.sdists, standin=standin)
    asked = (
        ("--package", wanted.packages, {str(cell.package) for cell in every}),
        ("--interpreter", wanted.interpreters, {cell.interpreter for cell in every}),
        ("--arch", wanted.arches, {*building.wheels.arches}),
        ("--policy", wanted.policies, {cell.platform for cell in every if cell.arch}),
    )
    problems = [
        Problem(f"the release has no wheels for {word}", option, fix=f"one of: {', '.join(sorted(known - {''}))}")
        for option, words, known in asked
        for word in words
        if word not in known
    ]
    if problems:
        raise WheelError(*problems)
    found = chosen(every, wanted.packages, wanted.interpreters, wanted.arches)
    return tuple(cell for cell in found if not wanted.policies or not cell.arch or cell.platform in wanted.policies)


def _one(building: _Building, cell: Cell) -> Built:
    if cell.how is How.NOT:
        return Built(cell)
    folder = building.workspace.work / "wheels" / _key(building, cell)
    if not building.wanted.again and folder.exists() and is_intact(folder):
        return Built(cell, next(folder.glob("*.whl")))
    building.say(f"{cell.package} {cell.identifier if cell.arch else 'py3-none-any'} {cell.platform}".rstrip())
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        took = _pure(building, cell, partial) if cell.how is How.PURE else _compiled(building, cell, partial)
        made = next(partial.glob("*.whl"))
        approve(made, building.judges, policies())
        _refuse_other(made, building.sdists[cell.package][0])
    except (WheelError, ArchiveError, CommandError) as error:  # a limit of time is a command's
        return Built(cell, problems=error.problems)
    shutil.rmtree(folder, ignore_errors=True)
    remember(partial, folder)
    partial.rename(folder)
    return Built(cell, next(folder.glob("*.whl")), took)


def _refuse_other(wheel: Path, sdist: SdistFacts) -> None:
    """Raise `WheelError` for a wheel of another package or version: it would take the place of that one's."""
    found = parse_wheel_filename(wheel.name)[:2]
    if found != (canonicalize_name(sdist.metadata.name), Version(sdist.metadata.version)):
        what = f"its build gave another package's wheel, or another version's: {wheel.name}"
        raise WheelError(Problem(what, sdist.filename, fix="mend the name or version that its build backend writes"))


def _key(building: _Building, cell: Cell) -> str:
    facts, _ = building.sdists[cell.package]
    epoch = seconds(building.project.release.date)
    parts = [_FORMAT, cell.package, facts.sha256, cell.identifier if cell.arch else "any", cell.platform, str(epoch)]
    if cell.arch:
        parts += [configuration(building.wheels, cell.package, cell.platform, epoch), _version()]
        parts += sorted(file.sha256 for file in building.files[cell.interpreter, cell.arch])
        parts += [building.images[cell.arch].digest if cell.how is How.STANDIN else pinned_image(cell)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _pure(building: _Building, cell: Cell, into: Path) -> float:
    start = time.monotonic()
    facts, path = building.sdists[cell.package]
    if building.pure is None:
        building.pure = pure_wheels(
            building.project, building.sources, building.workspace, building.runner, offline=building.wanted.offline
        )
    building.pure.build(facts, path, into)
    return time.monotonic() - start


def _compiled(building: _Building, cell: Cell, into: Path) -> float:
    """Let cibuildwheel build one wheel in a container of its own, so that no other build leaves anything in it."""
    workspace, release = building.workspace, building.project.release
    scratch = workspace.work / "building" / "wheel"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "source").mkdir(parents=True)
    source = extract_sdist(building.sdists[cell.package][1], scratch / "source")
    config = scratch / "cibuildwheel.toml"
    epoch = seconds(release.date)
    write_text(config, configuration(building.wheels, cell.package, cell.platform, epoch))
    files = building.files[cell.interpreter, cell.arch]
    house = wheelhouse(files, workspace.work / "wheelhouses", workspace, offline=building.wanted.offline)
    cache = workspace.work / "zig-cache" / f"{cell.package}-{cell.arch}"
    if building.wanted.again and cache not in building.emptied:
        shutil.rmtree(cache, ignore_errors=True)  # once: what one run compiles serves all of its interpreters
        building.emptied.add(cache)
    cache.mkdir(parents=True, exist_ok=True)
    limits = release.builds.of(cell.package)
    order = Run(
        cell,
        config,
        source,
        scratch / "out",
        house,
        cache,
        image=building.images[cell.arch].reference if cell.how is How.STANDIN else "",
        memory=limits.memory,
        processes=limits.processes,
    )
    log = workspace.dist / "wheels" / "logs" / f"{cell.package}-{cell.identifier}-{cell.platform}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with lent(workspace.work, building.runner) as (environment, enclose):
        argv = (sys.executable, "-m", "cibuildwheel", *order.arguments())
        done = building.runner(
            Command(
                enclose(argv),
                cwd=source,
                env={**environment, **order.environment(), "SOURCE_DATE_EPOCH": str(epoch)},
                log=log,
                timeout=limits.time,
            )
        )
    made = sorted(order.output.glob("*.whl"))
    if done.returncode != 0 or len(made) != 1 or made[0].is_symlink():
        raise WheelError(explained(cell, _text(log), str(log)))
    shutil.move(made[0], into / made[0].name)
    rewheel(into / made[0].name)
    shutil.rmtree(scratch)
    return done.seconds


def _text(log: Path) -> str:
    with suppress(OSError):
        return log.read_bytes()[-65536:].decode(errors="replace")
    return ""


def _need_cibuildwheel() -> None:
    from importlib.util import find_spec

    if find_spec("cibuildwheel") is None:
        fix = "install elpack[wheels], which brings it"
        raise WheelError(Problem("cibuildwheel is not installed", fix=fix))


def pinned_image(cell: Cell) -> str:
    """Return the image, with its digest, that this version of cibuildwheel stands for a platform by."""
    pins = ConfigParser(inline_comment_prefixes="#")
    pins.read_string(resources.files("cibuildwheel.resources").joinpath("pinned_docker_images.cfg").read_text())
    section = f"pypy_{cell.arch}" if cell.interpreter.startswith("pp") and cell.platform != MUSLLINUX else cell.arch
    return pins.get(section, cell.platform)


def _version() -> str:
    from importlib.metadata import version

    return version("cibuildwheel")


def _hand_over(building: _Building, results: Sequence[Built]) -> None:
    """Put wheels and sdists into dist/wheels, and write what is known of each into the manifest."""
    into = building.workspace.dist / "wheels"
    into.mkdir(parents=True, exist_ok=True)
    before = entries(into)
    sdists = [facts for facts, _ in building.sdists.values()]
    made: list[Mapping[str, Any]] = [
        _put(path, facts.filename, into) | {"kind": "sdist", "package": facts.metadata.name}
        for facts, path in building.sdists.values()
    ]
    made += [_put(one.wheel, one.wheel.name, into) | _told(building, one) for one in results if one.wheel]
    # a run for pure ones alone makes no image, and leaves what is told of the others as it was
    standin = bool(building.images) or any(entry.get("how") == How.STANDIN for entry in before)
    every = places(building.project, building.sdists, standin=standin)
    files = [one for one in (*made, *still_true(before, made, sdists, every)) if (into / one["file"]).exists()]
    reasons = {one.cell: one.error.partition("\n")[0] for one in results if one.problems}
    write_manifest(into, files, missing_of(every, files, reasons), recalled(into))
    remove_stale(into, before, files)


def _put(path: Path, name: str, into: Path) -> dict[str, object]:
    content = path.read_bytes()
    place = into / name
    if not (place.exists() and place.read_bytes() == content):
        place.unlink(missing_ok=True)
        place.write_bytes(content)
    return {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _told(building: _Building, one: Built) -> dict[str, object]:
    cell = one.cell
    sdist, _ = building.sdists[cell.package]
    told: dict[str, object] = {"kind": "wheel", "package": str(cell.package), "how": str(cell.how)}
    told["sdist"] = sdist.sha256
    if cell.arch:
        told |= {"interpreter": cell.interpreter, "arch": cell.arch, "platform": cell.platform}
        told["image"] = building.images[cell.arch].digest if cell.how is How.STANDIN else pinned_image(cell)
    return told

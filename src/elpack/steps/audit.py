"""What there is of each dist, for which interpreter and machine: from the lock, and from what was built."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from elpack.errors import ArchiveError, LockError, VerifyError
from elpack.manifest import digest_of, finished, read_manifest
from elpack.run import run
from elpack.steps.closure import read_sources, release_version, selected_dists
from elpack.steps.facts import read_facts
from elpack.steps.project import read_project
from elpack.targets import resolve_target
from elpack.wheels.availability import Known, Made, Matrix, rows_of, served
from elpack.wheels.columns import Column, columns_of, interpreter_of
from elpack.wheels.model import INTERPRETERS, releases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.config import Release
    from elpack.model import Layout, RemoteFile, SdistFacts, SelectedDist, Target, WheelFacts
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.wheels.model import Interpreter
    from elpack.workspace import Workspace

    Built = Mapping[tuple[NormalizedName, str], tuple[Made, ...]]

WHEELS = "wheels"
"""The folder of wheels below the results; they belong to no target."""
_DIST = re.compile(r"([A-Za-z0-9._-]+)==(.+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked about. Empty interpreters or arches: those of [wheels] and of the targets."""

    interpreters: tuple[Interpreter, ...] = ()
    arches: tuple[str, ...] = ()
    musl: bool = False
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """The matrix, and what the user should know."""

    matrix: Matrix
    notices: tuple[str, ...]


def audit_wheels(workspace: Workspace, wanted: Wanted, *, offline: bool = False, runner: Runner = run) -> Audited:
    """Return the matrix of a release. Nothing is fetched but first-party sources that are not at hand.

    Raises what reading the release and its lock raises. A column that the lock has no closure for is said to be one.
    """
    project = read_project(workspace)
    release = project.release
    sources = read_sources(project, workspace, offline=offline, runner=runner)
    targets = _targets(release)
    columns = _columns(release, targets, wanted)
    closures: dict[Column, Sequence[SelectedDist]] = {}
    closed: dict[Column, str] = {}
    for column in columns:
        try:
            closures[column] = selected_dists(project, sources, column, wanted.layout)
        except LockError as error:
            closed[column] = "; ".join(problem.what for problem in error.problems)
    glibc = min(target.glibc for target in targets)
    known = Known(
        first_party=release.first_party_names(),
        facts=_facts(closures, sources, workspace),
        made=built(workspace.dist, columns),
    )
    own = _own(targets, columns)
    rows = rows_of(closures, glibc, known)
    matrix = Matrix(release.name, release_version(release, sources), glibc, columns, rows, own, closed)
    return Audited(matrix, sources.notices)


def _targets(release: Release) -> list[Target]:
    return [resolve_target(choice, arch) for choice in release.targets for arch in choice.arches]


def _column(target: Target) -> Column:
    return Column(interpreter_of(target.python), target.arch)


def _columns(release: Release, targets: Iterable[Target], wanted: Wanted) -> tuple[Column, ...]:
    """Return what was asked for; else all of [wheels] or all that are known, and those of the targets."""
    own = [_column(target) for target in targets]
    built_for = release.wheels.interpreters if release.wheels else tuple(INTERPRETERS.values())
    named = wanted.interpreters or (*built_for, *(column.interpreter for column in own))
    interpreters = [every for one in named for every in (releases_of(one.tag) or (one,))]
    machines = release.wheels.arches if release.wheels else ()
    arches = wanted.arches or (*machines, *(column.arch for column in own))
    return columns_of(interpreters, arches, musl=wanted.musl or bool(release.wheels and release.wheels.musllinux))


def _own(targets: Iterable[Target], columns: Sequence[Column]) -> dict[Column, tuple[str, ...]]:
    found: dict[Column, list[str]] = defaultdict(list)
    for target in targets:
        if (column := _column(target)) in columns:
            found[column].append(target.name)
    return {column: tuple(names) for column, names in found.items()}


def _facts(
    closures: Mapping[Column, Sequence[SelectedDist]], sources: Sources, workspace: Workspace
) -> dict[str, WheelFacts | SdistFacts]:
    """Return what sdists hold that are at hand. One that cannot be read is not known: who builds it is told."""
    files = {dist.sdist.sha256: dist.sdist for dists in closures.values() for dist in dists if dist.sdist}
    found: dict[str, WheelFacts | SdistFacts] = {}
    for file in files.values():
        if path := _at_hand(file, sources, workspace):
            with suppress(ArchiveError):
                found |= read_facts([file], {file.sha256: path}, workspace.facts)
    return found


def _at_hand(file: RemoteFile, sources: Sources, workspace: Workspace) -> Path | None:
    if file.sha256 in sources.paths:
        return sources.paths[file.sha256]
    path = workspace.downloads / file.filename
    return path if path.is_file() and digest_of(path) == file.sha256 else None


def built(dist: Path, columns: Sequence[Column]) -> Built:
    """Return what was built of each dist and version: wheels, and RPMs of targets, as their manifests list them."""
    found: dict[tuple[NormalizedName, str], list[Made]] = defaultdict(list)
    for path in sorted((dist / WHEELS).glob("*.whl")):
        with suppress(InvalidWheelFilename):
            name, version, _, _ = parse_wheel_filename(path.name)
            found[name, str(version)].append(Made(path.name, frozenset(served(path.name, columns))))
    for folder in finished(dist):
        # who works on that target is told of a manifest that cannot be read
        with suppress(VerifyError):
            manifest = read_manifest(folder, VerifyError)
            column = Column(interpreter_of(manifest.python), manifest.arch)
            what = f"RPM of {manifest.target}"
            for file in manifest.files:
                if file.kind == "rpm" and (match := _DIST.fullmatch(file.dist)):
                    found[canonicalize_name(match[1]), match[2]].append(Made(what, frozenset({column})))
    return {key: tuple(dict.fromkeys(made)) for key, made in found.items()}

"""What a layout needs on a target: the lock and the first-party sources, the closure in it, and each dist's file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_sdist_filename

from elpack import strict
from elpack.archives import read_sdist, sdist_member
from elpack.errors import ConfigError, LockError, MissingMemberError, Problem
from elpack.fetch import fetch_all
from elpack.freshness import check_fresh
from elpack.lockfile import parse_uv_lock
from elpack.model import Layout, SelectedDist, Selection
from elpack.plan.policy import choose_file, target_tags
from elpack.requirements import applicable
from elpack.run import run
from elpack.selection import select, select_all
from elpack.steps.checkouts import checkout, local_source
from elpack.steps.facts import read_facts
from elpack.steps.sources import pinned_sdist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.config import Release
    from elpack.fetch import Progress
    from elpack.model import Policy, RemoteFile, Target, UvLock
    from elpack.plan.policy import Choice
    from elpack.run import Runner
    from elpack.selection import Place
    from elpack.steps.project import Project
    from elpack.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Closure:
    """What a target needs at run time, and the file that each dist is packaged from. `version` is the release's."""

    target: Target
    layout: Layout
    version: str
    selection: Selection
    chosen: Mapping[NormalizedName, Choice]


@dataclass(slots=True)
class Sources:
    """The application's lock and the first-party sources, at hand before any target is looked at.

    A library may have no lock; then each first-party dist is among the local ones. closures: those found so far, since
    a plan for one target asks about all.
    """

    lock: UvLock | None
    local: Mapping[NormalizedName, RemoteFile]
    paths: dict[str, Path]
    notices: tuple[str, ...]
    closures: dict[tuple[Target, Layout, frozenset[NormalizedName]], Closure] = field(default_factory=dict)


def read_sources(project: Project, workspace: Workspace, *, offline: bool = False, runner: Runner = run) -> Sources:
    """Get the first-party sources that do not come from the lock, and read the application's lock."""
    release = project.release
    local, notices = _local_sources(release, workspace, runner, offline=offline)
    lock = None
    if release.application.lock:
        text, path, requires = _application(release, workspace, local, runner, offline=offline)
        lock = parse_uv_lock(text, path, loopback=release.index_is_local)
        check_fresh(lock, release.application.name, requires)
        lock = _with_versions(lock, {name: file for name, (file, _) in local.items()})
    else:
        missing = (dist for dist in release.first_party if dist.name not in local)
        local |= {dist.name: pinned_sdist(dist, release, workspace, offline=offline) for dist in missing}
    paths: dict[str, Path] = {file.sha256: path for file, path in local.values()}
    return Sources(lock, {name: file for name, (file, _) in local.items()}, paths, tuple(notices))


def _with_versions(lock: UvLock, local: Mapping[NormalizedName, RemoteFile]) -> UvLock:
    """Give dynamic versions, which uv does not lock, as the backend that made a checkout's sdist says them."""
    made = {name: parse_sdist_filename(file.filename)[1] for name, file in local.items()}
    return replace(
        lock,
        dists=tuple(
            replace(dist, version=made[dist.name]) if dist.version is None and dist.name in made else dist
            for dist in lock.dists
        ),
    )


def close(
    project: Project,
    sources: Sources,
    target: Target,
    layout: Layout | None = None,
    also: frozenset[NormalizedName] = frozenset(),
) -> Closure:
    """Return the closure of a layout for a target, with each dist's file. `also`: more roots for libraries."""
    key = target, layout or project.release.layout, also
    if key not in sources.closures:
        sources.closures[key] = _close(project, sources, *key)
    return sources.closures[key]


def _close(
    project: Project, sources: Sources, target: Target, layout: Layout, also: frozenset[NormalizedName]
) -> Closure:
    release = project.release
    dists = selected_dists(project, sources, target, layout, also)
    ranks, own = target_tags(target), release.first_party_names()
    chosen = {
        dist.name: choose_file(
            dist, target, ranks, compile_it=_why_compile(project, dist.name), first_party=dist.name in own
        )
        for dist in dists
    }
    selection = Selection(release.application.name, dists)
    return Closure(target, layout, release_version(release, sources), selection, chosen)


def selected_dists(
    project: Project,
    sources: Sources,
    place: Place,
    layout: Layout | None = None,
    also: frozenset[NormalizedName] = frozenset(),
) -> tuple[SelectedDist, ...]:
    """Return the dists that a layout needs for an interpreter on a machine; local sdists in place of what is locked."""
    release = project.release
    system = (layout or release.layout) is Layout.SYSTEM
    selected = _system(release, sources, place, also) if system else _stack(release, sources, place)
    return tuple(
        replace(dist, sdist=sources.local[dist.name], wheels=()) if dist.name in sources.local else dist
        for dist in selected
    )


def release_version(release: Release, sources: Sources) -> str:
    """Return the release's version, which is its application's."""
    return str(_versions(release, sources).get(release.application.name, ""))


def with_extras(
    project: Project, sources: Sources, closure: Closure, workspace: Workspace, *, offline: bool
) -> Closure:
    """Return the closure with what the libraries' extras ask for.

    A lock knows the extras of its own project; those of dists from an index only their metadata tells.
    """
    release, environment = project.release, closure.target.marker_environment()
    named = {name: release.system_extras(name) for name in release.system_packages() if name in closure.chosen}
    files = [file for name, extras in named.items() if extras and (file := closure.chosen[name].file)]
    facts = read_facts(files, fetch(files, sources, workspace, offline=offline), workspace.facts)
    wanted = {
        canonicalize_name(requirement.name)
        for name, extras in named.items()
        for extra in extras
        if (file := closure.chosen[name].file)
        for requirement in applicable(facts[file.sha256].metadata.requires_dist, environment, extra)
    }
    locked = {dist.name for dist in sources.lock.dists} if sources.lock else set()
    also = frozenset(wanted & locked - closure.chosen.keys())
    return close(project, sources, closure.target, closure.layout, also) if also else closure


def fetch(
    files: Iterable[RemoteFile],
    sources: Sources,
    workspace: Workspace,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Path]:
    """Return where each file lies by its digest, after fetching what is not at hand, or is damaged."""
    missing = [file for file in files if file.sha256 not in sources.paths]
    fetched = fetch_all(missing, workspace.downloads, progress, offline=offline, notice=notice)
    return sources.paths | {str(digest): path for digest, path in fetched.items()}


def _stack(release: Release, sources: Sources, place: Place) -> tuple[SelectedDist, ...]:
    """Return the application's closure."""
    if sources.lock is None:
        raise AssertionError("only a library may have no lock")
    root = release.application.name
    given = next((dist.version for dist in release.first_party if dist.name == root), None)
    own, extras = frozenset(sources.local), release.application.extras
    return select(sources.lock, root, place, extras, root_version=given, first_party=own).dists


def _system(
    release: Release, sources: Sources, place: Place, also: frozenset[NormalizedName]
) -> tuple[SelectedDist, ...]:
    """Return the closures of the release's libraries; without a lock they are alone in it."""
    versions = _versions(release, sources)
    extras = {name: frozenset(release.system_extras(name)) for name in {*also, *release.system_packages()}}
    if sources.lock is not None:
        own = frozenset(sources.local)
        return select_all(sources.lock, extras, place, versions=versions, first_party=own)
    return tuple(
        SelectedDist(name, versions[name], extras.get(name, frozenset()), (), sources.local[name], (), 0)
        for name in sorted(sources.local)
    )


def _versions(release: Release, sources: Sources) -> dict[NormalizedName, Version]:
    """Return the versions of the first-party dists: what the release file, a checkout's sdist or the lock says."""
    locked = {dist.name: dist.version for dist in sources.lock.dists if dist.version} if sources.lock else {}
    made = {name: parse_sdist_filename(file.filename)[1] for name, file in sources.local.items()}
    given = {dist.name: dist.version for dist in release.first_party if dist.version}
    return {
        name: version for name, version in {**made, **locked, **given}.items() if name in release.first_party_names()
    }


def _local_sources(
    release: Release, workspace: Workspace, runner: Runner, *, offline: bool
) -> tuple[dict[NormalizedName, tuple[RemoteFile, Path]], list[str]]:
    local: dict[NormalizedName, tuple[RemoteFile, Path]] = {}
    notices: list[str] = []
    missing: list[str] = []
    others: list[Problem] = []
    for dist in release.first_party:
        source = local_source(dist, workspace, runner, index=release.index, offline=offline)
        if source is not None:
            local[dist.name] = source
            made = source[0].filename
            if canonicalize_name(made.rpartition("-")[0]) != dist.name:
                where = f"elpack.toml: first-party.{dist.name}"
                what = f"{dist.path or dist.git} is of another project: it gives {made}"
                others.append(Problem(what, where, fix=f"name the checkout of {dist.name}, or none"))
        elif dist.path:
            missing.append(dist.path)
    if others:
        raise ConfigError(*others)
    if missing:
        notices.append(f"no checkout at {', '.join(missing)}: sdists from the index take their place")
    return local, notices


def _application(
    release: Release,
    workspace: Workspace,
    local: dict[NormalizedName, tuple[RemoteFile, Path]],
    runner: Runner,
    *,
    offline: bool,
) -> tuple[str, str, tuple[str, ...]]:
    """Return the application's lock, its path for messages, and the project's requirements.

    An application from the index is added to the local sources: the lock inside it cannot pin it.
    """
    application = release.application
    dist = next(dist for dist in release.first_party if dist.name == application.name)
    tree = checkout(dist, workspace, runner)
    if tree is not None:
        lock = tree / application.lock
        if not lock.is_file():
            raise LockError(Problem("the application has no lock", where=str(lock), fix=f"uv lock --project {tree}"))
        pyproject = tree / "pyproject.toml"
        return (
            _decoded(lock.read_bytes(), str(lock)),
            str(lock),
            _dependencies(pyproject.read_bytes(), str(pyproject), *local[application.name]),
        )
    file, path = local[application.name] = pinned_sdist(dist, release, workspace, offline=offline)
    where = f"{file.filename}/{application.lock}"
    try:
        text = _decoded(sdist_member(path, application.lock), where)
    except MissingMemberError as error:
        fix = "name it by application.lock in elpack.toml, or release a checkout that has one (path)"
        raise LockError(Problem("the application's sdist holds no such lock", where=where, fix=fix)) from error
    return (
        text,
        where,
        _dependencies(sdist_member(path, "pyproject.toml"), f"{file.filename}/pyproject.toml", file, path),
    )


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise LockError(Problem("is not UTF-8 text", where=where, fix="uv lock")) from error


def _dependencies(pyproject: bytes, where: str, sdist: RemoteFile, path: Path) -> tuple[str, ...]:
    """Return the requirements that the lock must have been made for: as written, or as the backend wrote them down."""
    try:
        project = strict.toml(pyproject).get("project", {})
    except ValueError as error:
        raise LockError(Problem(str(error), where=where)) from error
    dynamic = project.get("dynamic") if isinstance(project, dict) else None
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        return read_sdist(path, sdist.sha256).metadata.requires_dist
    found = project.get("dependencies", []) if isinstance(project, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise LockError(Problem("[project] dependencies is not an array of strings", where=where))
    return tuple(found)


def _why_compile(project: Project, name: NormalizedName) -> str:
    override = project.overrides.get(name)
    if override is not None and override.policy is not None and override.policy.value == "sdist":
        return override.policy.reason
    policies: dict[NormalizedName, Policy] = dict(project.release.policies)
    return "elpack.toml says so" if policies.get(name) == "sdist" else ""

"""The sdists of the first-party packages, put where they are handed over: of checkouts, or from the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import parse_sdist_filename

from elpack.errors import ArchiveError, FetchError, LockError, Problem
from elpack.lineage import Member, in_order, needed_by
from elpack.manifest import digest_of
from elpack.steps.closure import fetch, selected_dists
from elpack.steps.exchange import exchanged, link_or_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.config import FirstParty, Release
    from elpack.model import RemoteFile
    from elpack.selection import Place
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.workspace import Workspace

SDISTS = "sdists"
"""The folder of sdists below the results of a universe."""


def members_of(
    project: Project, sources: Sources, place: Place, workspace: Workspace
) -> tuple[tuple[Member, ...], tuple[RemoteFile, ...]]:
    """Return the first-party packages in the order of what needs what, and the sdist of each.

    place: for whom the closure is that tells what needs what. Raises `FetchError` for one that nobody has an sdist of,
    `LockError` for a checkout of another version than the lock's.
    """
    release = project.release
    _check_versions(release, sources, workspace)
    dists = selected_dists(project, sources, place)
    needs = needed_by(dists, release.first_party_names())
    files = _sdists(sources) | {dist.name: dist.sdist for dist in dists if dist.sdist}
    missing = [dist.name for dist in release.first_party if dist.name not in files]
    if missing:
        what = "neither a checkout nor the lock gives an sdist of it"
        raise FetchError(*(Problem(what, name, fix=f"a checkout: path under first-party.{name}") for name in missing))
    members = in_order(
        Member(
            dist.name,
            str(parse_sdist_filename(files[dist.name].filename)[1]),
            _source(dist, sources, workspace),
            files[dist.name].filename,
            files[dist.name].sha256,
            needs.get(dist.name, frozenset()),
        )
        for dist in release.first_party
    )
    return members, tuple(files[member.name] for member in members)


def _check_versions(release: Release, sources: Sources, workspace: Workspace) -> None:
    """Raise `LockError` for every checkout of a version that the lock has not."""
    versions: dict[NormalizedName, set[str]] = {}
    for locked in sources.lock.dists if sources.lock else ():
        versions.setdefault(locked.name, set()).add(str(locked.version))
    problems = []
    for dist in release.first_party:
        made = str(parse_sdist_filename(file.filename)[1]) if (file := sources.local.get(dist.name)) else ""
        if made and dist.name in versions and made not in versions[dist.name]:
            have = " and ".join(sorted(versions[dist.name]))
            what = f"{_source(dist, sources, workspace)} is of version {made}, and the application's lock has {have}"
            fix = f"lock again in {release.application.name}, or check out {have}"
            problems.append(Problem(what, dist.name, fix=fix))
    if problems:
        raise LockError(*problems)


def _sdists(sources: Sources) -> dict[NormalizedName, RemoteFile]:
    """Return every sdist that the lock pins, and the local ones instead."""
    locked = {dist.name: dist.sdist for dist in sources.lock.dists if dist.sdist} if sources.lock else {}
    return locked | dict(sources.local)


def _source(dist: FirstParty, sources: Sources, workspace: Workspace) -> str:
    file = sources.local.get(dist.name)
    # an application that comes from the index is among the local ones, too: no lock pins it
    if file is None or not sources.paths[file.sha256].is_relative_to(workspace.work / "sdists"):
        return "index"
    return f"checkout {dist.path}" if dist.path else f"tag {dist.tag}"


def put_sdists(
    folder: Path,
    files: Sequence[RemoteFile],
    sources: Sources,
    workspace: Workspace,
    *,
    offline: bool,
    notice: Callable[[str], None],
) -> bool:
    """Put exactly these sdists into a folder, and tell whether anything had to be done.

    Those of the index are fetched. Raises `FetchError`, `HashMismatchError`, and `ArchiveError` for two of one name.
    """
    wanted = {file.filename: file.sha256 for file in files}
    if len(wanted) < len(files):
        raise ArchiveError(Problem("two packages have an sdist of the same name", ", ".join(wanted)))
    if _there(folder) == wanted:
        return False
    paths = fetch(files, sources, workspace, offline=offline, notice=notice)
    with exchanged(folder) as stage:
        for file in files:
            link_or_copy(paths[file.sha256], stage / file.filename)
    return True


def _there(folder: Path) -> Mapping[str, str]:
    if not folder.is_dir():
        return {}
    return {path.name: digest_of(path) if path.is_file() and not path.is_symlink() else "" for path in folder.iterdir()}

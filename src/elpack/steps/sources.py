"""First-party sources: an sdist from the index, and what its build lock hangs on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from elpack.archives import sdist_member
from elpack.errors import ConfigError, FetchError, MissingMemberError, Problem
from elpack.fetch import fetch_all, find_sdist
from elpack.model import RemoteFile, Sha256

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import FirstParty, Release
    from elpack.workspace import Workspace


def build_files_digest(sdist: Path) -> Sha256:
    """Return the digest of those files of a checkout's sdist that say what its build requires.

    The build lock of a checkout hangs on these alone: its other files change with every edit, and the lock itself may
    be one of them.
    """
    digest = hashlib.sha256()
    for member in ("pyproject.toml", "setup.cfg", "setup.py"):
        try:
            content = sdist_member(sdist, member)
        except MissingMemberError:
            continue
        digest.update(f"{member} {len(content)}\n".encode() + content)
    return Sha256(digest.hexdigest())


def pinned_sdist(dist: FirstParty, release: Release, workspace: Workspace, *, offline: bool) -> tuple[RemoteFile, Path]:
    """Return an sdist from the index that no lock pins: the release file does, by its sha256."""
    if dist.version is None or dist.sha256 is None:
        raise ConfigError(
            Problem(
                f"{dist.name} comes from the index, so its version and sha256 are needed",
                where=f"elpack.toml: first-party.{dist.name}",
                why="no lock pins it: an application's own lock cannot",
                fix="add version and sha256, or path to a checkout that exists",
            )
        )
    filename = f"{dist.name.replace('-', '_')}-{dist.version}.tar.gz"
    file = RemoteFile(filename, _stable_url(release, filename), dist.sha256)
    known = workspace.downloads / filename
    if known.exists() and hashlib.sha256(known.read_bytes()).hexdigest() == dist.sha256:
        return file, known
    if offline:
        raise FetchError(Problem(f"{filename} is not here, and the run is offline", where=str(known)))
    found = find_sdist(release.index, dist.name, dist.version, dist.sha256)
    return file, fetch_all([found], workspace.downloads)[found.sha256]


def _stable_url(release: Release, filename: str) -> str:
    """Return an address that needs no look-up, so that a spec is the same whether the file was fetched or at hand."""
    if release.index != "https://pypi.org/simple/":
        return ""
    name = filename.rpartition("-")[0]
    return f"https://files.pythonhosted.org/packages/source/{name[0]}/{name}/{filename}"

"""Writes what a target gets as a lock file that other tools read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from elpack.errors import ConfigError, Problem
from elpack.pylock import pylock_text
from elpack.steps.closure import close, read_sources

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.session import Session


def exported(session: Session, beside: Path) -> tuple[str, int]:
    """Return the pylock.toml of a session's target and layout, and how many dists are in it.

    beside: the folder of the file, from which paths of first-party sdists that come from checkouts are relative.
    Raises `ConfigError` for a library without lock.
    """
    project, target = session.project, session.target
    sources = read_sources(project, session.workspace, offline=session.options.offline, runner=session.runner)
    if sources.lock is None:
        fix = "name its lock as [application] lock, if it has one"
        raise ConfigError(Problem("there is no lock that could be exported", session.workspace.file.name, fix=fix))
    closure = close(project, sources, target, session.layout)
    local = {file.sha256: os.path.relpath(sources.paths[file.sha256], beside) for file in sources.local.values()}
    text = pylock_text(
        f"{project.release.application.name} {closure.version}",
        sources.lock.sha256,
        target,
        closure.selection.dists,
        project.release.first_party_names(),
        local,
    )
    return text, len(closure.selection.dists)


def differs(path: Path, text: str) -> str:
    """Return why a file is not this text, "" if it is."""
    if not path.is_file():
        return "it is not there"
    return "" if path.read_bytes() == text.encode() else "it is not what the lock selects now"

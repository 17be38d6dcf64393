"""Writes the generated specs, or compares them with those that are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.changelog import changelog_text, missing
from elpack.errors import PlanError, Problem
from elpack.plan.model import Role
from elpack.steps.committed import committed, differences, make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elpack.changelog import Entry
    from elpack.session import Session

_COMMITTED = (Role.FIRST_PARTY, Role.APPLICATION, Role.BUNDLE)


def write_specs(sessions: Sequence[Session], out: Path | None, *, compare: bool) -> int:
    """Write the first-party specs into specs/<target>/, or all of them into `out`; return how many there are.

    The sessions have planned the layouts of one release for one target. Only where they are all of its layouts, a
    committed spec of none of them belongs to no package; in `out` nothing is taken away.

    With `compare` nothing is written. Raises `PlanError` with each committed spec that differs, is missing, or
    belongs to no package any more.
    """
    roles = tuple(Role) if out else _COMMITTED
    folder = out or sessions[0].workspace.home / "specs" / sessions[0].plan.target.name
    texts = {
        f"{package.rpm}.spec": session.specs[package.node]
        for session in sessions
        for package in session.plan.packages
        if package.role in roles
    }
    every = not out and {session.layout for session in sessions} >= set(sessions[0].project.release.layouts)
    old = {path.name: committed(path) for path in folder.glob("*.spec") if every or path.name in texts}
    new = () if out else _new_entries(sessions)
    if compare:
        _compare(texts, old, folder, new)
        return len(texts)
    if new:
        project = sessions[0].project
        write_text(sessions[0].workspace.changelog, changelog_text((*new, *project.changelog)))
    make_folder(folder)
    for name in old.keys() - texts.keys():
        (folder / name).unlink()
    for name, text in texts.items():
        write_text(folder / name, text)  # in place of a link: what it points to is not elpack's to write
    return len(texts)


def _new_entries(sessions: Sequence[Session]) -> tuple[Entry, ...]:
    """Return the entries that the changelog lacks for what the sessions package."""
    current = {package.changelog[0] for session in sessions for package in session.plan.packages if package.changelog}
    return tuple(missing(sessions[0].project.changelog, sorted(current, key=lambda entry: entry.key)))


def _compare(texts: dict[str, str], old: dict[str, str], folder: Path, new: Sequence[Entry]) -> None:
    problems = [
        Problem(
            f"{entry.dist} {entry.version}-{entry.revision} has no entry", "specs/changelog.toml", fix="elpack spec"
        )
        for entry in new
    ]
    problems += differences(old, texts, folder, "the committed spec", "elpack spec")
    if problems:
        raise PlanError(*problems)

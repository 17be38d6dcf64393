"""Writes the generated specs, or compares them with those that are committed."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.changelog import changelog_text, missing
from elpack.errors import PlanError, Problem, StoreError
from elpack.plan.model import Role

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
    old = {path.name: _committed(path) for path in folder.glob("*.spec") if every or path.name in texts}
    new = () if out else _new_entries(sessions)
    if compare:
        _compare(texts, old, folder, new)
        return len(texts)
    if new:
        project = sessions[0].project
        write_text(sessions[0].workspace.changelog, changelog_text((*new, *project.changelog)))
    _make(folder)
    for name in old.keys() - texts.keys():
        (folder / name).unlink()
    for name, text in texts.items():
        write_text(folder / name, text)  # in place of a link: what it points to is not elpack's to write
    return len(texts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # such as /proc answers
        raise StoreError(Problem("no folder can be made there", str(folder), fix="name another one")) from error


def _committed(path: Path) -> str:
    """Return what a spec says, byte for byte where it is text; a link says nothing."""
    return "" if path.is_symlink() else path.read_bytes().decode(errors="replace")


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
    for name in sorted(texts.keys() | old.keys()):
        if old.get(name) == texts.get(name):
            continue
        diff = difflib.unified_diff(
            old.get(name, "").splitlines(), texts.get(name, "").splitlines(), "committed", "generated", lineterm="", n=1
        )
        lines = list(diff)[:20] or ["only its line ends differ"]
        what = "the committed spec is not what the plan gives\n" + "\n".join(lines)
        problems.append(Problem(what, where=str(folder / name), fix="elpack spec, then commit"))
    if problems:
        raise PlanError(*problems)

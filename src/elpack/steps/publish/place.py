"""What is asked of a place that is published to, whatever it is reached by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from elpack.errors import Problem, PublishError
from elpack.publication import LINES, Id, parse_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from elpack.publication import Line, Record

_REMOTE = re.compile(r"rsync://|[^/]+:")


class Place(Protocol):
    """Where publications lie, each finished one with its record, and a pointer to the current one of each line."""

    def __str__(self) -> str: ...

    def alone(self) -> AbstractContextManager[None]:
        """Keep others from publishing here, and clear away what a killed run left. Raises `PublishError`."""
        ...

    def records(self, line: Line) -> list[Record]:
        """Return the records of all finished publications, oldest first. Raises `PublishError` for foreign things."""
        ...

    def current(self, line: Line) -> Id | None:
        """Return what the pointer points to."""
        ...

    def stage(self) -> Path:
        """Return an empty folder of this machine in which a publication is put together."""
        ...

    def place(self, source: Path, destination: Path) -> None:
        """Put a file of the results into the stage, safe from what happens to the results later."""
        ...

    def fetch(self, line: Line, publication: Id, paths: Sequence[str], into: Path) -> None:
        """Put files of a publication into a folder of this machine, below it as they are in the publication."""
        ...

    def add(self, line: Line, record: Record, stage: Path) -> None:
        """Make a publication of the stage, to which nothing points yet; the record is what finishes it."""
        ...

    def complement(self, line: Line, publication: Id, stage: Path) -> None:
        """Put the stage's files into a publication which has none of these."""
        ...

    def point(self, line: Line, publication: Id, was: Id | None) -> None:
        """Let the pointer point to a publication, in one step. `was`: where it pointed when all this began."""
        ...

    def remove(self, line: Line, publications: Iterable[Id]) -> None:
        """Remove publications."""
        ...


def is_remote(to: str) -> bool:
    """Tell what rsync reaches from a folder of this machine: rsync://…, host:path and host::module."""
    return bool(_REMOTE.match(to))


def refuse_foreign(names: Iterable[tuple[str, str]], where: str) -> None:
    """Raise `PublishError` unless all entries of the place are elpack's own: (name, goal of a link or empty)."""
    own = {name for line in LINES for name in (line.folder, line.pointer)} | {".elpack", "lost+found"}
    pointers = {line.pointer for line in LINES}
    problems = []
    for name, goal in names:
        if name not in own:
            problems.append(Problem("it is not elpack's", f"{where}/{name}", fix="publish to a folder of its own"))
        elif bool(goal) != (name in pointers):
            what = "it is a symbolic link" if goal else "it is no symbolic link"
            problems.append(Problem(what, f"{where}/{name}", fix="move it out of the way"))
    if problems:
        raise PublishError(*problems)


def pointed(goal: str, line: Line, where: str) -> Id:
    """Return what a pointer's goal names. Raises `PublishError` when it is nothing of elpack's."""
    folder, _, name = goal.partition("/")
    try:
        return parse_id(name if folder == line.folder else goal)
    except ValueError as error:
        fix = f"let it point to {line.folder}/<a publication>, or remove it"
        raise PublishError(Problem(str(error), where=f"{where}/{line.pointer}", fix=fix)) from error


def publications(names: Iterable[str], line: Line, where: str) -> list[Id]:
    """Return the names of a line's folder as ids, oldest first. Raises `PublishError` for foreign ones."""
    found, problems = [], []
    for name in names:
        try:
            found.append(parse_id(name))
        except ValueError as error:
            problems.append(Problem(str(error), f"{where}/{line.folder}", fix="move it elsewhere"))
    if problems:
        raise PublishError(*problems)
    return sorted(found)

"""The release that the benchmarks run on: its plan, its files, and the sdists that only the peers need."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from elpack.fetch import fetch_all
from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.model import SelectedDist

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for; see there."""

    file: Path
    target: str
    repeat: int
    only: int
    levels: tuple[int, ...]
    compiled: bool
    out: Path | None

    @property
    def workspace(self) -> Workspace:
        home = self.file.parent
        return Workspace(self.file, home / ".elpack", home / "dist")

    @property
    def work(self) -> Path:
        """A folder of the benchmarks' own, on the disk on which builds run as well."""
        return self.workspace.work / "benchmarks"

    def first(self, items: list[T]) -> list[T]:
        return items[: self.only] if self.only else items


def planned(settings: Settings, last: str = "plan") -> Session:
    """Return a session up to the named step; what is missing is fetched."""
    silent = Terminal(Console(file=io.StringIO()), quiet=True)
    session = Session(settings.workspace, Options(target=settings.target, builder="bwrap"), silent)
    carry_out(session, last)
    return session


def sdists(dists: Iterable[SelectedDist], known: Mapping[str, Path], into: Path) -> dict[str, Path]:
    """Return the sdist of each dist that has one, after fetching what is missing; the lock pins URL and hash.

    known: what is at hand already, by digest.
    """
    files = {dist.name: dist.sdist for dist in dists if dist.sdist is not None}
    missing = [file for file in files.values() if file.sha256 not in known]
    paths = {**known, **fetch_all(missing, into)}
    return {name: paths[file.sha256] for name, file in files.items()}

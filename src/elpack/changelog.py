"""The changelogs of the first-party packages: specs/changelog.toml, which grows with every version."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from elpack.errors import ConfigError, Problem
from elpack.naming import dist_name, parse_version
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.tables import Table

DATED = range(1980, 2100)
"""The years that archives (from 1980) and 32-bit clocks in RPM's tags can date."""

_MOST = (1 << 31) - 1

HEADER = """\
# What the first-party packages' changelogs say, newest first. `elpack spec` adds an entry for each new version or
# revision, dated by the release; its words may be changed, its date is that of all files in the package.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one package's changelog: what was packaged, when, and what there is to say, a line each."""

    dist: NormalizedName
    version: Version
    revision: int
    date: dt.date
    text: tuple[str, ...]

    @property
    def key(self) -> tuple[NormalizedName, Version, int]:
        """Return what it is about."""
        return self.dist, self.version, self.revision


def parse_changelog(text: str, file: str) -> tuple[Entry, ...]:
    """Read the file, newest entries first. Raises `ConfigError` with every mistake in it."""
    try:
        root = parse_toml(file, text)
    except ValueError as error:
        raise ConfigError(Problem(str(error), where=file)) from error
    entries = [entry for table in root.tables("entry") if (entry := _entry(table))]
    root.done()
    problems = root.problems + _contradictions(entries, file)
    if problems:
        raise ConfigError(*problems)
    return tuple(_newest_first(entries))


def entries_of(entries: Iterable[Entry], current: Entry) -> tuple[Entry, ...]:
    """Return a dist's changelog as of what is packaged now, newest first; `current` stands in where it is new."""
    older = [
        entry
        for entry in entries
        if entry.dist == current.dist and (entry.version, entry.revision) <= (current.version, current.revision)
    ]
    known = any(entry.key == current.key for entry in older)
    return tuple(older if known else (current, *older))


def backwards(entries: Iterable[Entry], current: Entry) -> Problem | None:
    """Return the problem of a new entry that is older than what stands below it; rpm would refuse the spec."""
    newest = next(iter(entries_of(entries, current)[1:]), None)
    if newest is None or newest.date <= current.date:
        return None
    what = f"{current.dist} {current.version} would be dated {current.date}, before {newest.version} of {newest.date}"
    return Problem(what, where="elpack.toml: release.date", fix=f"set it to {newest.date} or later")


def missing(entries: Iterable[Entry], current: Iterable[Entry]) -> list[Entry]:
    """Return what is packaged now and has no entry yet."""
    known = {entry.key for entry in entries}
    return [entry for entry in current if entry.key not in known]


def changelog_text(entries: Iterable[Entry]) -> str:
    """Return the file's text."""
    return HEADER + "".join(_entry_text(entry) for entry in _newest_first(entries))


def _newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Sort by date, then by dist; several of one dist and day stand in the order of their versions."""
    by_version = sorted(entries, key=lambda entry: (entry.version, entry.revision), reverse=True)
    return sorted(sorted(by_version, key=lambda entry: entry.dist), key=lambda entry: entry.date, reverse=True)


def _entry_text(entry: Entry) -> str:
    lines = "".join(f"    {_quoted(line)},\n" for line in entry.text)
    return (
        f'\n[[entry]]\ndist = "{entry.dist}"\nversion = "{entry.version}"\nrevision = {entry.revision}\n'
        f"date = {entry.date.isoformat()}\ntext = [\n{lines}]\n"
    )


def _quoted(line: str) -> str:
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entry(table: Table) -> Entry | None:
    before = len(table.problems)
    dist, version = table.parsed("dist", dist_name), table.parsed("version", parse_version)
    revision, date, text = table.get("revision", int), table.get("date", dt.date), table.strings("text")
    if not text or not all(line.strip() and line.isprintable() for line in text):
        table.problem("text", "an entry says something, in lines without control characters")
    if len(table.problems) == before and not 1 <= revision <= _MOST:
        bound = "1 or more" if revision < 1 else f"at most {_MOST}"
        table.problem("revision", f"expected {bound}, found {revision}")
    if len(table.problems) == before and date.year not in DATED:
        table.problem("date", f"expected a year from {DATED[0]} to {DATED[-1]}, found {date}")
    table.done()
    if dist is None or version is None or len(table.problems) > before:
        return None
    return Entry(dist, version, revision, date, text)


def _contradictions(entries: list[Entry], file: str) -> list[Problem]:
    seen: dict[tuple[NormalizedName, Version, int], Entry] = {}
    problems = []
    for entry in entries:
        if entry.key in seen:
            problems.append(Problem(f"{entry.dist} {entry.version}-{entry.revision} is there twice", where=file))
        seen[entry.key] = entry
    for dist in sorted({entry.dist for entry in entries}):
        ordered = sorted((entry for entry in seen.values() if entry.dist == dist), key=lambda entry: entry.key)
        for older, newer in pairwise(ordered):
            if newer.date < older.date:
                what = f"{dist} {newer.version}-{newer.revision} is dated before {older.version}-{older.revision}"
                problems.append(Problem(what, where=file, fix="rpm wants the newest first: mend one of the dates"))
    return problems

"""What a target's repositories ship for its Pythons: dated data files beside this module, one for each target."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from elpack.errors import ElpackError, Problem
from elpack.naming import dist_name, parse_version, rpm_name
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import Target
    from elpack.naming import RpmName
    from elpack.tables import Table

REFRESH = "scripts/refresh-shipped"
_PYTHON = re.compile(r"\d+\.\d+\Z")


@dataclass(frozen=True, slots=True)
class Shipped:
    """A dist that one of the target's repositories ships for one Python.

    rpm: the package that holds it. repository: its id in the data file. version: None where no source tells it.
    enabled: whether the target has that repository switched on. Only an enabled one can satisfy a requirement;
    what any of them ships must not be replaced.
    """

    dist: NormalizedName
    rpm: RpmName
    repository: str
    version: Version | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class ShippedData:
    """One data file: as of which day it is true, the repositories that it covers, and what they ship by Python."""

    date: dt.date
    repositories: tuple[str, ...]
    enabled: frozenset[str]
    dists: Mapping[str, Mapping[NormalizedName, Shipped]]


def shipped(target: Target) -> Mapping[NormalizedName, Shipped]:
    """Return what the target's repositories ship for the target's Python, sorted by dist.

    Raises `ElpackError` when the data has no section for that Python: not knowing is not the same as nothing.
    """
    dists = shipped_data(target.name).dists
    if target.python not in dists:
        raise ElpackError(
            Problem(
                f"nobody has written down what {target.name} ships for Python {target.python}",
                where=_file(target.name),
                fix=f"{REFRESH} --help",
            )
        )
    return dists[target.python]


def shipped_as_of(target: Target) -> dt.date:
    """Return the day as of which `shipped` is true."""
    return shipped_data(target.name).date


@cache
def shipped_data(name: str) -> ShippedData:
    """Return a target's data file. Raises `ElpackError` with every mistake in it, or when there is none."""
    path = resources.files(__name__).joinpath(f"{name}.toml")
    if not path.is_file():
        raise ElpackError(Problem(f"there is no data about what {name} ships", where=_file(name)))
    return parse_shipped(_file(name), path.read_text(encoding="utf-8"))


def parse_shipped(file: str, text: str) -> ShippedData:
    """Read a data file's text. Raises `ElpackError` with every mistake; `file` is its name in messages."""
    try:
        root = parse_toml(file, text)
    except ValueError as error:
        raise ElpackError(Problem(str(error), where=file)) from error
    date = root.get("date", dt.date)
    repositories = _repositories(root)
    pythons = root.table("python")
    dists = {python: _dists(table, repositories) for python, table in pythons.named_tables()}
    for python in dists:
        if not _PYTHON.match(python):
            pythons.problem(python, f"{python!r} is no version of Python", fix="write a series such as 3.12")
    root.done()
    if root.problems:
        raise ElpackError(*root.problems)
    enabled = frozenset(name for name, on in repositories.items() if on)
    return ShippedData(date, tuple(repositories), enabled, MappingProxyType(dists))


def _file(name: str) -> str:
    return f"targets/shipped/{name}.toml"


def _repositories(root: Table) -> dict[str, bool]:
    """Return whether each repository is switched on in the target."""
    known = root.strings("repositories")
    enabled = root.strings("enabled")
    for name in enabled:
        if name not in known:
            root.problem("enabled", f"{name} is none of the repositories", fix=f"known: {', '.join(known)}")
    return {name: name in enabled for name in known}


def _dists(table: Table, repositories: Mapping[str, bool]) -> Mapping[NormalizedName, Shipped]:
    names = list(table.values)
    if names != sorted(names):
        table.problem("", "the dists are not sorted", fix=f"let {REFRESH} write the file")
    found = (_shipped(name, entry, repositories) for name, entry in table.named_tables())
    return MappingProxyType({one.dist: one for one in found if one is not None})


def _shipped(name: str, entry: Table, repositories: Mapping[str, bool]) -> Shipped | None:
    """Return one line of the file; None after a mistake was noted."""
    before = len(entry.problems)
    rpm = entry.parsed("rpm", rpm_name)
    repository = entry.get("repository", str)
    version = entry.parsed("version", parse_version) if entry.has("version") else None
    if repository not in repositories:
        entry.problem("repository", f"unknown repository {repository!r}", fix=f"known: {', '.join(repositories)}")
    dist = _normalised(name, entry)
    entry.done()
    if rpm is None or dist is None or len(entry.problems) > before:
        return None
    return Shipped(dist, rpm, repository, version, repositories[repository])


def _normalised(name: str, entry: Table) -> NormalizedName | None:
    try:
        dist = dist_name(name)
    except ValueError as error:
        entry.problem("", str(error))
        return None
    if dist != name:
        entry.problem("", f"{name} is not a normalised name", fix=f"write {dist}")
    return dist

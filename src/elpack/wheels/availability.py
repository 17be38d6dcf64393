"""Which way leads to each dist of a closure, for each interpreter and machine: a wheel, its sdist, or none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename

from elpack.errors import Problem
from elpack.model import SdistFacts
from elpack.plan.policy import best_wheel
from elpack.wheels.columns import fitting_tags, newer_tags
from elpack.wheels.platforms import Family, platform_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.tags import Tag
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import RemoteFile, SelectedDist, WheelFacts
    from elpack.wheels.columns import Column, Ranks


class Means(StrEnum):
    """The best that there is of a dist for an interpreter on a machine, the best first."""

    UNIVERSAL = "universal"
    """One wheel for every machine."""
    EXACT = "exact"
    """A wheel for this very interpreter."""
    ABI3 = "abi3"
    """A wheel for this and later interpreters, by Python's stable ABI."""
    PLATFORM = "platform"
    """A wheel for the machine and for any Python."""
    SDIST_PURE = "sdist, pure"
    """Source that gives a wheel for every machine."""
    SDIST_COMPILES = "sdist, compiles"
    """Source that is compiled."""
    SDIST = "sdist"
    """Source that nobody looked into yet."""
    NOTHING = "nothing"
    """No way at all."""


WHEELS = (Means.UNIVERSAL, Means.EXACT, Means.ABI3, Means.PLATFORM)


@dataclass(frozen=True, slots=True)
class Made:
    """What elpack built of a dist: a wheel, or an RPM of a target. `for_` holds the columns that it serves."""

    what: str
    for_: frozenset[Column]


@dataclass(frozen=True, slots=True)
class Way:
    """How one dist can be had in one column.

    platform: the tag of the wheel that is taken, and libc the version of glibc or musl that it needs, None for none.
    newer: a wheel that the column's glibc is too old for, and newer_libc what it needs; only where nothing older fits.
    made: what elpack built for it.
    """

    means: Means
    file: str = ""
    platform: str = ""
    libc: tuple[int, int] | None = None
    newer: str = ""
    newer_libc: tuple[int, int] | None = None
    made: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        found = {"way": str(self.means), "file": self.file, "platform": self.platform, "libc": _dotted(self.libc)}
        if self.newer:
            found |= {"too_new": self.newer, "too_new_libc": _dotted(self.newer_libc)}
        return {**found, "made": list(self.made)}


@dataclass(frozen=True, slots=True)
class Row:
    """One dist in one version. ways: by column; one that is not there does not need the dist."""

    name: NormalizedName
    version: Version
    first_party: bool
    ways: Mapping[Column, Way]

    def everywhere(self, columns: Sequence[Column]) -> bool:
        """Tell whether each of the columns has one and the same universal wheel of it."""
        return all(column in self.ways and self.ways[column].means is Means.UNIVERSAL for column in columns)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole closure. glibc: the newest that wheels may need. own: columns of the release's targets, and these.

    closed: columns that the lock gives no closure for, and why.
    """

    release: str
    version: str
    glibc: tuple[int, int]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    own: Mapping[Column, tuple[str, ...]] = field(default_factory=dict)
    closed: Mapping[Column, str] = field(default_factory=dict)

    def open(self) -> tuple[Column, ...]:
        """Return the columns that the lock gives a closure for."""
        return tuple(column for column in self.columns if column not in self.closed)

    def count(self, column: Column) -> Counter[Means]:
        """Return how many dists there are in each way."""
        return Counter(row.ways[column].means for row in self.rows if column in row.ways)

    def problems(self) -> tuple[Problem, ...]:
        """Return what keeps the release's own targets from having their closure."""
        found = []
        for column, targets in sorted(self.own.items()):
            where = f"{', '.join(targets)} ({column})"
            if column in self.closed:
                found.append(Problem(f"the lock gives no closure: {self.closed[column]}", where))
            ways = ((row, row.ways[column]) for row in self.rows if column in row.ways)
            found += [_no_way(row, way, where) for row, way in ways if way.means is Means.NOTHING]
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines; columns that need a dist not are not named at it."""
        return {
            "release": self.release,
            "version": self.version,
            "glibc": _dotted(self.glibc),
            "columns": [self._column(column) for column in self.columns],
            "dists": [
                {
                    "name": row.name,
                    "version": str(row.version),
                    "first_party": row.first_party,
                    "ways": {column.key: row.ways[column].as_json() for column in self.columns if column in row.ways},
                }
                for row in self.rows
            ],
        }

    def _column(self, column: Column) -> dict[str, Any]:
        return {
            "key": column.key,
            "interpreter": column.interpreter.tag,
            "python": column.python,
            "implementation": str(column.interpreter.implementation),
            "release": column.interpreter.release,
            "arch": column.arch,
            "libc": "musl" if column.musl else "glibc",
            "targets": list(self.own.get(column, ())),
            "no_closure": self.closed.get(column, ""),
            "counts": {str(means): number for means, number in sorted(self.count(column).items())},
        }


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the lock. facts: of archives that were read, by sha256; made: by dist and version."""

    first_party: frozenset[NormalizedName] = frozenset()
    facts: Mapping[str, WheelFacts | SdistFacts] = field(default_factory=dict)
    made: Mapping[tuple[NormalizedName, str], tuple[Made, ...]] = field(default_factory=dict)


def rows_of(closures: Mapping[Column, Sequence[SelectedDist]], glibc: tuple[int, int], known: Known) -> tuple[Row, ...]:
    """Return a row for each dist and version of the columns' closures, sorted."""
    found: dict[tuple[NormalizedName, Version], dict[Column, Way]] = {}
    for column, dists in closures.items():
        for dist in dists:
            found.setdefault((dist.name, dist.version), {})[column] = way_of(dist, column, glibc, known)
    return tuple(Row(name, version, name in known.first_party, ways) for (name, version), ways in sorted(found.items()))


def way_of(dist: SelectedDist, column: Column, glibc: tuple[int, int], known: Known) -> Way:
    """Return how a dist is best had: by the wheel that an installer there takes, else by its sdist."""
    made = tuple(one.what for one in known.made.get((dist.name, str(dist.version)), ()) if column in one.for_)
    ranks = fitting_tags(column, glibc)
    if wheel := best_wheel(dist.wheels, ranks):
        tag = best_tag(wheel.filename, ranks)
        return Way(_means(tag), wheel.filename, tag.platform, _libc(wheel.filename, tag, column), made=made)
    too_new = {}
    if newer := best_wheel(dist.wheels, newer_ranks := newer_tags(column, glibc)):
        tag = best_tag(newer.filename, newer_ranks)
        too_new = {"newer": newer.filename, "newer_libc": _libc(newer.filename, tag, column)}
    if dist.sdist:
        return Way(_of_sdist(dist.sdist, known), dist.sdist.filename, made=made, **too_new)  # type: ignore[arg-type]
    return Way(Means.NOTHING, made=made, **too_new)  # type: ignore[arg-type]


def best_tag(filename: str, ranks: Ranks) -> Tag:
    """Return that tag of a wheel's name for which an installer takes it. Raises ValueError when none fits."""
    tags = parse_wheel_filename(filename)[3]
    return min((ranks[tag], str(tag), tag) for tag in tags if tag in ranks)[2]


def _means(tag: Tag) -> Means:
    if tag.platform == "any":
        return Means.UNIVERSAL
    if tag.abi == "abi3":
        return Means.ABI3
    return Means.PLATFORM if tag.abi == "none" else Means.EXACT


def _libc(filename: str, tag: Tag, column: Column) -> tuple[int, int] | None:
    """Return the oldest C library that a wheel says it runs with."""
    wanted = Family.MUSLLINUX if column.musl else Family.MANYLINUX
    alike = (
        one for one in parse_wheel_filename(filename)[3] if (one.interpreter, one.abi) == (tag.interpreter, tag.abi)
    )
    platforms = (platform_of(one.platform) for one in alike)
    return min(
        (one.version for one in platforms if one.family is wanted and one.arch == column.arch and one.version),
        default=None,
    )


def _of_sdist(sdist: RemoteFile, known: Known) -> Means:
    facts = known.facts.get(sdist.sha256)
    if not isinstance(facts, SdistFacts):
        return Means.SDIST
    return Means.SDIST_COMPILES if facts.native else Means.SDIST_PURE


def _no_way(row: Row, way: Way, where: str) -> Problem:
    why = f"its wheels need glibc {_dotted(way.newer_libc)}, as {way.newer}" if way.newer else "no wheel fits"
    fix = f"lock a version of {row.name} that has an sdist or a wheel for it"
    return Problem(f"{row.name} {row.version} cannot be had: {why}, and there is no sdist", where, fix=fix)


def _dotted(version: tuple[int, int] | None) -> str:
    return ".".join(map(str, version)) if version else ""


def served(filename: str, columns: Sequence[Column]) -> Iterator[Column]:
    """Yield the columns that a wheel runs in, if their C library is new enough."""
    tags = parse_wheel_filename(filename)[3]
    newest = (2, 99)
    for column in columns:
        if not fitting_tags(column, newest).keys().isdisjoint(tags):
            yield column

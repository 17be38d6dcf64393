"""The [library] and [system] tables of the release file: what goes into the interpreter's own site-packages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.config.service import read_smoke
from elpack.config.values import dist_names
from elpack.naming import dist_name
from elpack.smoke import Smoke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from elpack.tables import Table

DEVELOPERS = frozenset(
    {
        *(
            "bench",
            "benchmark",
            "benchmarks",
            "build",
            "ci",
            "coverage",
            "dev",
            "devel",
            "develop",
            "development",
            "doc",
        ),
        *("docs", "documentation", "lint", "linting", "mypy", "pre-commit", "qa", "release", "style", "test"),
        *("tests", "testing", "tox", "type-check", "type-checking", "typecheck", "types", "typing"),
    }
)
"""Extras that only a project's developers install; a metapackage for one would draw their tools onto hosts."""


@dataclass(frozen=True, slots=True)
class SystemLayout:
    """What layout `system` is told.

    packages: the dists that the release is for; empty for all first-party ones but the application. extras: those
    that get a metapackage, by dist. replace: dists that may take the place of what the target ships, with the reason.
    smoke: the test of these packages, where `[smoke]` is the application's.
    """

    packages: tuple[NormalizedName, ...] = ()
    extras: Mapping[NormalizedName, tuple[NormalizedName, ...]] = field(default_factory=dict)
    replace: Mapping[NormalizedName, str] = field(default_factory=dict)
    smoke: Smoke = field(default_factory=lambda: Smoke(()))


def read_system(table: Table) -> SystemLayout:
    """Return the table's content; mistakes are noted at their keys. An empty table asks for the layout as well."""
    system = SystemLayout(
        packages=tuple(sorted(dist_names(table, "packages"))),
        extras=_extras(table.table("extras")),
        replace=_replace(table.table("replace")),
        smoke=read_smoke(table.table("smoke")),
    )
    if system.smoke.service:
        table.table("smoke").problem("service", "no service runs in layout system", fix="leave it out")
    table.done()
    return system


def _extras(table: Table) -> dict[NormalizedName, tuple[NormalizedName, ...]]:
    found = {}
    for key in table.values:
        dist, extras = _key(table, key), tuple(sorted(dist_names(table, key)))
        for extra in extras:
            if extra in DEVELOPERS:
                table.problem(key, f"extra {extra} is for {dist}'s developers", fix=f"leave {extra} out")
        if dist in found:
            table.problem(key, f"{dist} is there twice, in two spellings")
        if dist is not None:
            found[dist] = extras
    return found


def _replace(table: Table) -> dict[NormalizedName, str]:
    found = {}
    for key in table.values:
        dist, reason = _key(table, key), " ".join(table.get(key, str, "").split())
        if not reason and isinstance(table.values[key], str):
            table.problem(key, "replacing a package of the target needs a reason that its next reader can weigh")
        if not reason.isprintable():
            table.problem(key, "the reason holds control characters, and is printed")
        if dist in found:
            table.problem(key, f"{dist} is there twice, in two spellings")
        if dist is not None:
            found[dist] = reason
    return found


def _key(table: Table, key: str) -> NormalizedName | None:
    try:
        return dist_name(key)
    except ValueError as error:
        table.problem(key, str(error))
        return None

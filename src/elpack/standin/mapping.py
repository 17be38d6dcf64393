"""`packages.toml` as values: which Debian packages become which EL9 packages, and what is left out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RpmRule:
    """One RPM: its Debian packages, the first of which gives the version, and what it says beside them."""

    name: str
    debs: tuple[str, ...]
    version: str = ""
    version_of: str = ""
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that Debian's maintainer scripts would have made."""

    path: str
    to: str
    rpm: str


@dataclass(frozen=True, slots=True)
class StandinMapping:
    """Everything `packages.toml` says."""

    suite: str
    include: tuple[str, ...]
    skip: frozenset[str]
    excluded: re.Pattern[str]
    documentation: str
    licences: re.Pattern[str]
    links: tuple[Link, ...]
    folders: Mapping[str, int]
    moves: Mapping[str, str]
    appends: Mapping[str, str]
    owners: Mapping[str, str]
    rules: tuple[RpmRule, ...]

    def rpm_of(self) -> dict[str, str]:
        """Return the RPM's name by Debian package; what is not listed keeps its own name."""
        return {deb: rule.name for rule in self.rules for deb in rule.debs}

    def leaves_out(self, path: str) -> bool:
        """Tell whether a path enters no RPM."""
        if path.startswith(self.documentation + "/"):
            name = path.rpartition("/")[2]
            return "/" in path.removeprefix(self.documentation + "/") and not self.licences.match(name)
        return self.excluded.match(path) is not None


def parse_mapping(text: str) -> StandinMapping:
    """Read the mapping. Raises KeyError, TypeError or ValueError for a file that a maintainer broke."""
    data = tomllib.loads(text)
    rules = tuple(_rule(name, table) for name, table in sorted(data["rpm"].items()))
    _refuse_doubles(rules)
    return StandinMapping(
        suite=data["suite"],
        include=tuple(sorted(data["include"])),
        skip=frozenset(data["skip"]),
        excluded=_patterns(data["exclude"]),
        documentation=data["documentation"],
        licences=_patterns(data["licences"]),
        links=tuple(Link(path, table["to"], table["rpm"]) for path, table in sorted(data["links"].items())),
        folders={path: int(mode, 8) for path, mode in data["folders"].items()},
        moves=data["moves"],
        appends=data["appends"],
        owners=data["owners"],
        rules=rules,
    )


def _rule(name: str, table: dict[str, Any]) -> RpmRule:
    known = {"debs", "version", "version_of", "provides", "requires", "without"}
    if unknown := set(table) - known:
        raise ValueError(f"rpm.{name}: unknown keys {sorted(unknown)}")
    return RpmRule(
        name=name,
        debs=tuple(table["debs"]),
        version=table.get("version", ""),
        version_of=table.get("version_of", ""),
        provides=tuple(sorted(table.get("provides", ()))),
        requires=tuple(sorted(table.get("requires", ()))),
        without=frozenset(table.get("without", ())),
    )


def _patterns(shell: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in shell))


def _refuse_doubles(rules: tuple[RpmRule, ...]) -> None:
    seen: dict[str, str] = {}
    for rule in rules:
        for deb in rule.debs:
            if deb in seen:
                raise ValueError(f"Debian package {deb} is in rpm.{seen[deb]} and in rpm.{rule.name}")
            seen[deb] = rule.name

"""The [builds] table of the release file: how much of the machine one build may take, and how others' code is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from elpack.config.values import one_of, positive
from elpack.model import ARCHES, Way
from elpack.naming import dist_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from elpack.tables import Table

AUTO = "auto"
"""The way that is best where the command runs."""

_SIZE = re.compile(r"([1-9][0-9]{0,5})([MGT])\Z")
_UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST_DISK = 64 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build may take: bytes of memory, of disk and of log; processes and threads; seconds.

    memory 0 means what the machine can spare, see `builders.limits`.
    """

    memory: int = 0
    disk: int = 20 << 30
    log: int = 100 << 20
    processes: int = 4096
    time: int = 4 * 3600


@dataclass(frozen=True, slots=True)
class Builds:
    """The limits of builds in general, and of single dists; how code of other architectures is compiled.

    way: None for the best that this machine has. workers: by architecture, the command that starts `elpack worker`
    on a machine of that architecture, such as ``ssh arm.example.org elpack worker``, word by word.
    """

    limits: Limits = field(default_factory=Limits)
    dists: Mapping[NormalizedName, Limits] = field(default_factory=dict)
    way: Way | None = None
    workers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, dist: NormalizedName) -> Limits:
        """Return the limits of one dist's build."""
        return self.dists.get(dist, self.limits)


def read_builds(table: Table) -> Builds:
    """Return the table's content; mistakes are noted at their keys."""
    general = _limits(table, Limits())
    found: dict[NormalizedName, Limits] = {}
    dists = table.table("dist")
    for key, entry in dists.named_tables():
        limits = _limits(entry, general)
        entry.done()
        try:
            name = dist_name(key)
        except ValueError as error:
            dists.problem(key, str(error))
            continue
        if name in found:
            dists.problem(key, f"{name} is there twice, in two spellings")
        found[name] = limits
    way = table.parsed("way", one_of((AUTO, *Way)), AUTO) or AUTO
    workers = _workers(table.table("workers"))
    table.done()
    return Builds(general, found, None if way == AUTO else Way(way), workers)


def _workers(table: Table) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for arch in table.values:
        if arch not in ARCHES:
            table.problem(arch, "unknown architecture", fix=f"one of: {', '.join(ARCHES)}")
            continue
        words = table.strings(arch)
        if not words or not all(word and word.isprintable() for word in words):
            table.problem(arch, "expected a command, word by word", fix=f'{arch} = ["ssh", "host", "elpack", "worker"]')
        found[arch] = words
    return found


def _limits(table: Table, default: Limits) -> Limits:
    sizes = {name: _size(table, name, getattr(default, name)) for name in ("memory", "disk", "log")}
    numbers = {name: positive(table, name, getattr(default, name)) for name in ("processes", "time")}
    if sizes["disk"] < _LEAST_DISK:
        table.problem("disk", "expected 64M or more: a build root alone takes that")
    return replace(default, **sizes, **numbers)


def _size(table: Table, key: str, default: int) -> int:
    if not table.has(key):
        return default
    return table.parsed(key, size) or default


def size(text: str) -> int:
    """Return the bytes of a size such as 500M, 8G or 1T. Raises ValueError."""
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 500M, 8G or 1T")
    return int(match[1]) * _UNITS[match[2]]


def spelled(amount: int) -> str:
    """Return bytes as the release file spells them, rounded down to megabytes where they are not even."""
    for unit in ("T", "G"):
        if amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit}"
    return f"{amount // _UNITS['M']}M"

"""Platform tags of wheels (PEP 425, 513, 571, 599, 600, 656), and what users call the systems behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_MANYLINUX = re.compile(r"manylinux_(\d{1,3})_(\d{1,3})_(\w+)\Z")
_MUSLLINUX = re.compile(r"musllinux_(\d{1,3})_(\d{1,3})_(\w+)\Z")
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_SYSTEMS = {
    (2, 5): "EL 5",
    (2, 12): "EL 6",
    (2, 17): "EL 7",
    (2, 24): "Debian 9",
    (2, 26): "Amazon Linux 2",
    (2, 27): "Ubuntu 18.04",
    (2, 28): "EL 8",
    (2, 31): "Debian 11, Ubuntu 20.04",
    (2, 34): "EL 9",
    (2, 35): "Ubuntu 22.04",
    (2, 36): "Debian 12",
    (2, 39): "EL 10, Ubuntu 24.04",
    (2, 41): "Debian 13",
}
_ARCHES = {"x86_64": "x86-64", "aarch64": "64-bit ARM", "i686": "32-bit x86", "armv7l": "32-bit ARM"}


class Family(StrEnum):
    """What kind of system a platform tag names."""

    ANY = "any"
    MANYLINUX = "manylinux"
    MUSLLINUX = "musllinux"
    LINUX = "linux"
    """Linux without any promise: no index takes it."""
    OTHER = "other"
    """Not Linux."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform tag. `version` is that of its C library, None where the tag names none."""

    tag: str
    family: Family
    arch: str = ""
    version: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Return the tag with the first system that has its C library: manylinux_2_28 (EL 8)."""
        short = self.tag.removesuffix(f"_{self.arch}") if self.arch else self.tag
        system = _SYSTEMS.get(self.version) if self.family is Family.MANYLINUX and self.version else None
        return f"{short} ({system})" if system else short


def platform_of(tag: str) -> Platform:
    """Return what a platform tag says."""
    if tag == "any":
        return Platform(tag, Family.ANY)
    for pattern, family in ((_MANYLINUX, Family.MANYLINUX), (_MUSLLINUX, Family.MUSLLINUX)):
        if match := pattern.match(tag):
            return Platform(tag, family, match[3], (int(match[1]), int(match[2])))
    head, _, arch = tag.partition("_")
    if head in _LEGACY:
        return Platform(tag, Family.MANYLINUX, arch, _LEGACY[head])
    if head == "linux":
        return Platform(tag, Family.LINUX, arch)
    return Platform(tag, Family.OTHER)


def canonical(tag: str) -> str:
    """Return a platform tag as PEP 600 spells it: manylinux2014_x86_64 is manylinux_2_17_x86_64."""
    platform = platform_of(tag)
    if platform.family is Family.MANYLINUX and platform.version:
        return f"manylinux_{platform.version[0]}_{platform.version[1]}_{platform.arch}"
    return tag


def processor(arch: str) -> str:
    """Return what people call an architecture."""
    return f"{_ARCHES[arch]} ({arch})" if arch in _ARCHES else arch

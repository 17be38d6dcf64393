"""Machine code inside a wheel: for which processor it is, and what it asks of the system that loads it."""

from __future__ import annotations

import array
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from elpack.images.libraries import needed
from elpack.sound_elf import MAGIC, sound_elf

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"ET_DYN": "library", "ET_EXEC": "program", "ET_REL": "object"}
_NAMED = 3
"""Symbols that a message names of one version."""
_MOST = 10_000
"""Versions that one file may ask for."""


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A version of a library's symbols, such as GLIBC_2.38 of libc.so.6, and some of the symbols, sorted."""

    library: str
    version: str
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elf:
    """One ELF file. `machine` is spelt as platform tags do, `kind` is library, program, object or other.

    readable: it has the tables that tell what it needs; without them nothing can be said of that.
    """

    machine: str
    kind: str
    needed: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    search_paths: tuple[str, ...] = ()
    readable: bool = True

    @property
    def linked(self) -> bool:
        """Tell whether a system could load it: it is no compiler's unlinked output, and no dump of a process."""
        return self.kind in {"library", "program"}


def read_elf(content: bytes, machine: str) -> Elf | None:
    """Return what an ELF file is, None for another one. Raises ValueError for a damaged ELF file.

    machine: what its first bytes name, as platform tags spell it.
    """
    if not content.startswith(MAGIC):
        return None
    libraries = needed(content)
    with sound_elf(content) as elf:
        dynamic = list(elf.iter_segments("PT_DYNAMIC"))
        return Elf(
            machine=machine,
            kind=_KINDS.get(elf["e_type"], "other"),
            needed=libraries,
            needs=tuple(sorted(_needs(elf))),
            search_paths=tuple(path for segment in dynamic for path in _search_paths(segment)),
            readable=not dynamic or any(isinstance(one, SymbolTableSection) for one in elf.iter_sections()),
        )


def _search_paths(segment: Any) -> Iterator[str]:
    if isinstance(segment, DynamicSegment):
        for tag in segment.iter_tags():
            if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}:
                text = getattr(tag, "runpath", "") or getattr(tag, "rpath", "")
                yield from text.split(":")


def _needs(elf: Any) -> Iterator[Need]:
    versions: dict[int, tuple[str, str]] = {}
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for library, entries in section.iter_versions():
                for entry in entries:
                    versions[entry["vna_other"]] = (str(library.name), str(entry.name))
                    if len(versions) > _MOST:
                        raise ValueError(f"it asks for more than {_MOST} versions of symbols")
    symbols = _symbols(elf, versions) if versions else {}
    for index, (name, version) in versions.items():
        yield Need(name, version, tuple(sorted(symbols.get(index, ()))))


def _symbols(elf: Any, versions: dict[int, tuple[str, str]]) -> dict[int, list[str]]:
    """Return the first undefined symbols of each version, by its index."""
    table, section = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".gnu.version")
    found: dict[int, list[str]] = defaultdict(list)
    if not isinstance(table, SymbolTableSection) or section is None:
        return found
    if section.compressed:  # no linker does that: a loader would have to unpack it
        raise ValueError("its table of symbols' versions is compressed")
    data = section.data()
    indices = array.array("H", data[: len(data) // 2 * 2])
    if elf.little_endian != (sys.byteorder == "little"):
        indices.byteswap()
    for number, index in enumerate(indices[: table.num_symbols()]):
        if index in versions and len(found[index]) < _NAMED:
            symbol = table.get_symbol(number)
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name:
                found[index].append(symbol.name)
    return found

"""PyPy's C interface in an image: what extension modules ask for, and what the base's PyPy gives."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elftools.elf.sections import SymbolTableSection

from elpack.errors import Problem
from elpack.plain import plain
from elpack.sound_elf import MAGIC, sound_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_INTERPRETER = re.compile(r"(?:.*/)?(?:libpypy3[0-9.]*-c\.so|pypy3(?:\.[0-9]+)?)")
"""The files that are PyPy, wherever a base has them."""
_NAME = re.compile(rb"_?Py[A-Z_][A-Za-z0-9_]*\Z")
"""Functions and variables of Python's C interface; PyPy's own begin with PyPy, but for a few."""
_VERSION = re.compile(rb"\[PyPy ([0-9]+\.[0-9]+\.[0-9]+)")
_DIST = re.compile(r"(?P<site>.*/)(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/RECORD")
_MOST, _LONGEST, _TOLD = 100_000, 200, 5
_UNDEFINED, _WEAK = 0, 2
_WHY = "a tag such as pp73 names a C interface, not the release of PyPy that has all of it: it would not be imported"
_FIX = (
    "a base with a newer PyPy ([images.bases]; `elpack image pin` for one that is pulled), or lock a version of that "
    "dist that does without"
)


def interface(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of Python's C interface that an ELF file must find elsewhere, and those that it gives, sorted.

    None of another file, nor of one for 32 bits. Raises ValueError for a damaged ELF file.
    """
    asked: set[str] = set()
    given: set[str] = set()
    if content.startswith(MAGIC):
        with sound_elf(content) as elf:
            table = elf.get_section_by_name(".dynsym")
            if isinstance(table, SymbolTableSection) and elf.elfclass == 64:  # noqa: PLR2004 - bits
                if table.compressed or table.stringtable.compressed:  # no linker does that
                    raise ValueError("its table of symbols is compressed")
                order = "<" if elf.little_endian else ">"
                for name, defined in _symbols(table.data(), table.stringtable.data(), order):
                    (given if defined else asked).add(name)
    return tuple(sorted(asked)), tuple(sorted(given))


def _symbols(table: bytes, names: bytes, order: str) -> Iterator[tuple[str, bool]]:
    """Yield name and whether it is defined, for each entry but those that may be missing."""
    entry = struct.Struct(f"{order}IBBHQQ")
    if len(table) > _MOST * entry.size:
        raise ValueError(f"it has more than {_MOST} symbols")
    for start, kind, _, section, _, _ in entry.iter_unpack(table[: len(table) // entry.size * entry.size]):
        end = names.find(b"\0", start, start + _LONGEST)
        name = names[start : max(start, end)]
        if _NAME.match(name) and not (section == _UNDEFINED and kind >> 4 == _WEAK):
            yield name.decode(), section != _UNDEFINED


@dataclass(slots=True)
class LayerSymbols:
    """What one layer has of the interface, file by file. asked: by the path of a module; given: by whatever file.

    version: PyPy's own, where it is in this layer.
    """

    version: str = ""
    given: set[str] = field(default_factory=set)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _dists: dict[str, str] = field(default_factory=dict)

    def look(self, path: str, content: bytes) -> None:
        """Look at a file below the prefix, or one that `is_interpreter`. Raises ValueError for a damaged ELF file."""
        if found := _DIST.fullmatch(path):
            dist = f"{plain(found['name'])} {plain(found['version'])}"
            names = (line.rsplit(",", 2)[0].strip('"') for line in content.decode(errors="replace").splitlines())
            self._dists |= {f"{found['site']}{name}": dist for name in names if ".so" in name}
            return
        asked, given = interface(content)
        self.given |= set(given)
        if is_interpreter(path):
            found_version = _VERSION.search(content)
            self.version = found_version[1].decode() if found_version else self.version
        elif asked:
            self.asked[path] = asked

    def found(self) -> dict[str, Any]:
        """Return all of it, as JSON has it; `Symbols.add` takes it."""
        asked = {path: [self._dists.get(path, ""), *names] for path, names in sorted(self.asked.items())}
        return {"version": self.version, "given": sorted(self.given), "asked": asked}


def is_interpreter(path: str) -> bool:
    """Tell whether a file is PyPy's program or library, by its path without a slash in front."""
    return _INTERPRETER.fullmatch(path) is not None


@dataclass(slots=True)
class Symbols:
    """What was seen of an image with PyPy, layer upon layer. base: its name, for messages."""

    base: str
    version: str = ""
    given: set[str] = field(default_factory=set)
    asked: dict[str, list[str]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        """Take what `LayerSymbols.found` returned of one more layer."""
        self.version = found["version"] or self.version
        self.given |= set(found["given"])
        self.asked |= found["asked"]

    def missing(self) -> Iterator[Problem]:
        """Yield each extension module that the image's PyPy could not import, with the names that PyPy lacks."""
        if self.asked and not self.version:
            what = "no PyPy was found in it: nobody can tell whether it imports the image's extension modules"
            yield Problem(what, f"base {self.base}", fix="a base with libpypy3*-c.so ([images.bases])")
            return
        for path, (dist, *names) in sorted(self.asked.items()):
            if lacking := [name for name in names if name not in self.given]:
                pypy = f"PyPy {self.version} of base {self.base}"
                what = f"{dist or 'it'} asks for {_listed(lacking)}, which {pypy} does not have"
                yield Problem(what, path, _WHY, _FIX)


def _listed(names: Iterable[str]) -> str:
    every = [*names]
    more = f" and {len(every) - _TOLD} more" if len(every) > _TOLD else ""
    return f"{', '.join(every[:_TOLD])}{more}"

"""The shared libraries that programs of an image ask for, and those that are in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elftools.elf.dynamic import DynamicSegment

from elpack.errors import Problem
from elpack.plain import plain
from elpack.sound_elf import MAGIC, sound_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MOST = 1000


def needed(content: bytes) -> tuple[str, ...]:
    """Return the DT_NEEDED names of an ELF file, none of another one. Raises ValueError for a damaged ELF file."""
    if not content.startswith(MAGIC):
        return ()
    names: list[str] = []
    with sound_elf(content) as elf:
        for segment in elf.iter_segments("PT_DYNAMIC"):
            if isinstance(segment, DynamicSegment):
                names += [tag.needed for tag in segment.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]
            if len(names) > _MOST:
                raise ValueError(f"it asks for more than {_MOST} libraries")
    return tuple(names)


@dataclass(slots=True)
class Libraries:
    """What was seen of an image, layer upon layer. asked: a library's name, and the first file that asks for it."""

    asked: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)

    def add(self, asked: Mapping[str, str], there: Iterable[str]) -> None:
        """Take what was seen in one more layer."""
        self.asked = {**asked, **self.asked}
        self.there |= set(there)

    def missing(self) -> Iterator[Problem]:
        """Yield each library that is asked for and that no file or link of the image is named after."""
        for name, path in sorted(self.asked.items()):
            if name not in self.there:
                why = "the first program that needs it would not start, or the module not be imported"
                fix = "take a base that has it; of a base of your own, add the package with it"
                yield Problem(f"{plain(name)} is not in the image", path, why, fix)

"""Opens ELF files that somebody may have made up, so that none takes more time or memory than a real one does."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x7fELF"
"""What every ELF file begins with."""
_MOST = 4 << 20
"""Bytes that may be read beside the file's own size. A real file asks for a fifth of this size, or little in all."""
_STEP = 64
"""What a shorter read counts as: it takes as long."""
# what the library raises for bytes that somebody made up
_BROKEN = (
    ELFError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    UnicodeDecodeError,
)


@contextmanager
def sound_elf(content: bytes) -> Iterator[ELFFile]:
    """Give an ELF file to read. What is wrong with it, there or while it is read, becomes a ValueError."""
    try:
        yield ELFFile(_Metered(content))
    except _BROKEN as error:
        raise ValueError(f"no sound ELF file ({error!r:.80})") from error


class _Metered(io.BytesIO):
    """Ends what goes round in circles: tables that lead to themselves, or each to all of another one."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = len(content) + _MOST

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._left -= max(len(found), _STEP)
        if self._left < 0:
            raise ELFError("its tables do not come to an end")
        return found

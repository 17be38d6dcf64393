"""Reads the project's own text files: what is no plain file of a sensible size is refused before it is read."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from elpack.errors import ElpackError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 64 << 20


def own_text(path: Path, name: str, error: type[ElpackError]) -> str:
    """Return the text of a file that `name` stands for in messages. Raises `error` when it cannot be had.

    A pipe would be waited for without end, and a device never ends.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise error(Problem("is not a file", where=name))
        if status.st_size > _LARGEST:
            raise error(Problem(f"is larger than {_LARGEST} bytes", where=name))
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise error(Problem("cannot be read: it is not UTF-8 text", where=name)) from fault
    except OSError as fault:
        raise error(Problem(f"cannot be read: {fault.strerror}", where=name)) from fault

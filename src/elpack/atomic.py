"""Writes a file in one step: whoever looks sees the old one or the new one, whenever we are killed."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a text file, or leave all as it was and raise `OSError`. What a killed writer of it left goes away."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; see `write_text`."""
    _sweep(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # a failed write names no file, and the user knows nothing of the partial one
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sweep(path: Path) -> None:
    """Remove what writers left that are not there any more."""
    for left in path.parent.glob(f".{path.name}.*.new"):
        pid = left.name.removeprefix(f".{path.name}.").partition("-")[0]
        if pid.isdecimal() and not _is_there(int(pid)):
            left.unlink(missing_ok=True)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

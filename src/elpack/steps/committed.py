"""Generated files that are committed: what differs between them and what is generated now."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from elpack.errors import Problem, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MOST_LINES = 20


def make_folder(folder: Path) -> None:
    """Make a folder for generated files. Raises `StoreError` where none can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # such as /proc answers
        raise StoreError(Problem("no folder can be made there", str(folder), fix="name another one")) from error


def committed(path: Path) -> str:
    """Return what a file says, byte for byte where it is text; a link says nothing."""
    return "" if path.is_symlink() else path.read_bytes().decode(errors="replace")


def differences(old: Mapping[str, str], new: Mapping[str, str], folder: Path, what: str, fix: str) -> Iterator[Problem]:
    """Yield a problem for each file, by name, that differs, is missing, or is not generated any more."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        diff = difflib.unified_diff(before, after, "committed", "generated", lineterm="", n=1)
        lines = list(diff)[:_MOST_LINES] or ["only its line ends differ"]
        told = f"{what} is not what the plan gives\n" + "\n".join(lines)
        yield Problem(told, where=str(folder / name), fix=f"{fix}, then commit")

"""Tells whether a folder is as it was when it was finished: by the digest of all in it, kept beside it."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def remember(folder: Path, name: Path | None = None) -> None:
    """Keep the digest of a finished folder, which may get its final `name` later only."""
    write_text(_record(name or folder), f"{_digest(folder)}\n")


def is_intact(folder: Path) -> bool:
    """Tell whether a folder is as `remember` found it. One that nobody remembers is taken as it is, from now on."""
    try:
        return _record(folder).read_text().strip() == _digest(folder)
    except FileNotFoundError:
        if folder.exists():
            remember(folder)
        return True
    except (OSError, UnicodeDecodeError):
        return False


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.sha256")


def _digest(folder: Path) -> str:
    """Return the digest of all names, types, modes, owners, links and contents below a folder; times do not count."""
    paths = sorted(_paths(folder))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        lines = pool.map(_line, paths)
        whole = hashlib.sha256()
        for path, line in zip(paths, lines, strict=True):
            whole.update(f"{str(path.relative_to(folder))!a} {line}\n".encode())
    return whole.hexdigest()


def _paths(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent) / name


def _line(path: Path) -> str:
    found = path.lstat()
    line = f"{found.st_mode:o} {found.st_uid} {found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"{line} {str(path.readlink())!a}"
    if not stat.S_ISREG(found.st_mode):
        return line
    with path.open("rb") as file:
        return f"{line} {hashlib.file_digest(file, 'sha256').hexdigest()}"

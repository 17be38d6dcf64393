"""Puts a finished folder in the place of an older one in one step: a reader sees the old one or the new one."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EXDEV})
"""What a file system or kernel answers that cannot exchange two names, such as NFS."""


@contextmanager
def exchanged(final: Path, kept: Iterable[str] = ()) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `final` at the end, unless something is raised.

    `kept` are names in `final` that go over as they are, as hard links. Only one process may work on `final` at a
    time; what a killed one left is cleared away.
    """
    stage, old = final.with_name(f".{final.name}.new"), _old(final)
    if old.exists() and not final.exists():
        old.rename(final)
    _clear(old)
    _clear(stage)
    stage.mkdir(parents=True)
    try:
        yield stage
        for name in kept:
            if (final / name).is_dir():
                shutil.copytree(final / name, stage / name, symlinks=True, copy_function=link_or_copy)
        _exchange(stage, final)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def link_or_copy(source: str | Path, destination: str | Path) -> None:
    """Give a file a second name, or a copy where that cannot be. A full disk is told by the destination's name."""
    for way in (os.link, shutil.copy2):
        try:
            way(source, destination, follow_symlinks=False)
        except OSError as error:
            if error.errno in _FULL:
                # Python names the source, whose disk may have room
                raise OSError(error.errno, error.strerror, str(destination)) from error
            if way is shutil.copy2:
                raise
        else:
            return


def _exchange(stage: Path, final: Path) -> None:
    if not final.exists():
        stage.rename(final)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(_AT_FDCWD, os.fsencode(stage), _AT_FDCWD, os.fsencode(final), _EXCHANGE)
    if not failed:
        return
    number = ctypes.get_errno()
    if number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(final))
    # for the blink of an eye there is none; whoever is killed just then finds the old one put back by the next run
    final.rename(_old(final))
    stage.rename(final)
    shutil.rmtree(_old(final), ignore_errors=True)


def _old(final: Path) -> Path:
    return final.with_name(f".{final.name}.old")


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)

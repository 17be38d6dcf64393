"""One run at a time below one folder, by a lock that the kernel drops with its holder."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elpack.errors import Problem, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL = 0.2
_NO_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""What opening a link, a folder or a socket ends with."""


def acquire(path: Path, wait: float | None = 0, waiting: Callable[[str], None] | None = None) -> int:
    """Lock a file, write our process id into it and return its descriptor; closing that unlocks.

    `wait` is how many seconds to wait for another run to end, None without end. `waiting` is told the other's
    process id once. Raises `StoreError` when it does not end in time. A killed process leaves no lock behind.
    """
    descriptor = _opened(path)
    try:
        _await(descriptor, path, wait, waiting)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def held(path: Path, wait: float | None = 0) -> Iterator[None]:
    """Hold a lock; see `acquire`."""
    descriptor = acquire(path, wait)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock for a moment, waiting for whoever has it: another thread or another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a folder itself, for runs whose work folders differ, without a file in it. Raises `StoreError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _try(descriptor):
            raise StoreError(Problem("another run is writing there", str(folder), fix="wait for it to end"))
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Open the file of a lock, or make it. Who can write to its folder must not have us write to another file."""
    what, fix = "the lock is no regular file", "remove it, and see who can write there"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise StoreError(Problem(what, str(path), fix=fix)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(Problem(what, str(path), fix=fix))
    return descriptor


def _await(descriptor: int, path: Path, wait: float | None, waiting: Callable[[str], None] | None) -> None:
    start = time.monotonic()
    while not _try(descriptor):
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        if wait is not None and time.monotonic() - start >= wait:
            fix = "wait for it to end, or stop it; a run that is gone leaves no lock behind"
            raise StoreError(Problem(f"another run, process {owner}, is at work", str(path.parent), fix=fix))
        if waiting:
            waiting(owner)
            waiting = None
        time.sleep(_POLL)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

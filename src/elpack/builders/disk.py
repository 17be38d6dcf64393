"""A disk of its own for a build: what is written there is counted, and ends at its size."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.run import CLEAN_ENV, Command

if TYPE_CHECKING:
    from elpack.run import Runner

# One seed for all: the order in which a folder is read is the same in each build, on each host.
_SEED = "656c7061-636b-4000-8000-000000000000"
_FORMAT = (
    *("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode"),
    *("-E", f"nodiscard,lazy_itable_init=1,hash_seed={_SEED}"),
)
# Nothing of it outlives the build, so nothing waits for the disk below it.
_OPTIONS = "loop,noatime,nobarrier,noinit_itable,nosuid,nodev"

_SPARE = 16 << 20
_LEAST_INODES = 16
_LOOK_EVERY = 2.0
_SHARE_OF_TIME = 10


def mount_disk(image: Path, point: Path, size: int, runner: Runner) -> bool:
    """Mount a new, sparse file system of `size` bytes; return False where this host has no loop devices.

    The image has no name any more once it is mounted: it goes when it is unmounted, whatever happens to us.
    """
    try:
        image.touch(mode=0o600)
        os.truncate(image, size)
        if runner(Command((*_FORMAT, str(image)), env=CLEAN_ENV)).returncode != 0:
            return False
        if runner(Command(("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(point)))).returncode != 0:
            return False
    finally:
        image.unlink(missing_ok=True)
    point.chmod(0o700)
    with suppress(OSError):
        (point / "lost+found").rmdir()
    return True


def is_full(folder: Path) -> bool:
    """Tell whether a file system takes no more bytes, or no more files."""
    with suppress(OSError):
        state = os.statvfs(folder)
        no_files = state.f_files > 0 and state.f_favail < _LEAST_INODES
        return state.f_bavail * state.f_frsize < _SPARE or no_files
    return False


@dataclass(slots=True)
class Measure:
    """Counts what lies in folders, where they have no disk of their own: now and then, for it takes time."""

    folders: tuple[Path, ...]
    size: int
    _next: float = field(default_factory=lambda: time.monotonic() + _LOOK_EVERY)

    def exceeded(self) -> bool:
        """Tell whether it was more than it may be when it was looked at last."""
        start = time.monotonic()
        if start < self._next:
            return False
        used = sum(_bytes(folder) for folder in self.folders)
        end = time.monotonic()
        self._next = end + max(_LOOK_EVERY, _SHARE_OF_TIME * (end - start))
        return used > self.size


def _bytes(folder: Path) -> int:
    """Return what a folder takes; a file counts for 4096 bytes at least, as its inode is not for nothing."""
    total, stack = 0, [folder]
    while stack:
        with suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += max(4096, entry.stat(follow_symlinks=False).st_blocks * 512)
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(Path(entry.path))
    return total

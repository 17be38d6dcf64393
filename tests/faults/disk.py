"""A small disk that fills: a tmpfs over a folder of the project."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Disk:
    """A mounted file system; `free` bytes are what it has left after `leave`."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def used(self) -> int:
        words = subprocess.run(
            ("df", "--output=used", "--block-size=1", str(self.place)), check=True, capture_output=True, text=True
        ).stdout.split()
        return int(words[1])

    def leave(self, free: int) -> None:
        """Let it have so many bytes left."""
        self.resize(self.used() + free)

    def resize(self, size: int) -> None:
        subprocess.run(("mount", "-o", f"remount,size={size}", str(self.place)), check=True)


@contextmanager
def small_disk(place: Path, size: int = 4 << 30) -> Iterator[Disk]:
    """Mount a tmpfs on a folder, which is made."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)), check=True)
    try:
        yield Disk(place)
    finally:
        subprocess.run(("umount", "--recursive", "--lazy", str(place)), check=True)

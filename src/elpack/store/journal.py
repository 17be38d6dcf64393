"""The journal: what was done when, one JSON object a line, only ever appended to."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Journal:
    """One file. Threads may append at the same time; other processes may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(self, event: Mapping[str, Any]) -> None:
        """Write an event with the time (epoch seconds); it is the system's when this returns, whatever we do then."""
        line = json.dumps({"time": round(time.time(), 3), **event}, sort_keys=True) + "\n"
        with self._lock, self._path.open("ab") as file:
            file.write(line.encode())

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events, oldest first, without a line that a crash cut short."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def end_torn_line(self) -> None:
        """Make the next event begin on a line of its own, whatever a crash left."""
        with self._path.open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

"""The store of finished work: results by the digest of all that made them, and the journal of what was done.

::

    <root>/lock               held by the one run that may write, with its process id inside
    <root>/journal.jsonl      one JSON object a line, only ever appended to
    <root>/staging/           what is being put; of no meaning after a crash
    <root>/ab/abcd…/          one entry: its files, and entry.json with their sizes and digests
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elpack.errors import DiskFullError, Problem, StoreError
from elpack.model import Sha256
from elpack.store.journal import Journal
from elpack.store.lock import acquire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self

_CHUNK = 1 << 20
_KEY = re.compile(r"[0-9a-f]{16,128}")
_INDEX = "entry.json"
_FORMAT = 1
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an entry. `size` in bytes."""

    path: Path
    size: int
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished piece of work. `info` is what its maker wanted to remember, such as seconds."""

    key: str
    files: tuple[StoredFile, ...]
    info: Mapping[str, Any]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files' paths in the order in which they were put."""
        return tuple(file.path for file in self.files)


class Store:
    """Finished work below one folder. To be entered with ``with``; only `peek` and `events` work without.

    `wait` is how many seconds to wait for another run to end, None without end, 0 not at all; `waiting` is told the
    other's process id once. Entering raises `StoreError` when the other does not end in time. Threads may share it.
    """

    def __init__(self, root: Path, *, wait: float | None = 0, waiting: Callable[[str], None] | None = None) -> None:
        self.root = root
        self._wait = wait
        self._waiting = waiting
        self._lock: int | None = None
        self._entered = 0
        self._entering = threading.Lock()
        self._verified: dict[str, Entry] = {}
        self._notices: list[Problem] = []
        self._journal = Journal(root / "journal.jsonl")

    def __enter__(self) -> Self:
        with self._entering:
            if not self._entered:
                self._open()
            self._entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._entering:
            self._entered -= 1
            if not self._entered and self._lock is not None:
                # The kernel drops the lock with the descriptor, also when the process is killed; so none is ever stale.
                os.close(self._lock)
                self._lock = None

    def _open(self) -> None:
        with _disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = acquire(self.root / "lock", self._wait, self._waiting)
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir(exist_ok=True)
            self._journal.end_torn_line()

    def get(self, key: str) -> tuple[Path, ...] | None:
        """Return the files of a finished piece of work, None when there is none; see `entry`."""
        entry = self.entry(key)
        return entry.paths if entry else None

    def entry(self, key: str) -> Entry | None:
        """Return an entry whose files have their recorded digests, checked once by each process.

        A damaged entry is dropped, and a notice kept for `take_notices`: the work is to be done again.
        """
        if key in self._verified:
            return self._verified[key]
        self._require_lock()
        entry, damage = self._load(key)
        if entry and not damage:
            damage = _damage(entry)
        if damage:
            with _disk_errors(self.root):
                self._drop(self._folder(key))
            self._notices.append(
                Problem(f"a stored result was damaged and is made again: {damage}", str(self._folder(key)))
            )
            return None
        if entry:
            self._verified[key] = entry
        return entry

    def peek(self, key: str) -> Entry | None:
        """Return an entry without verifying its files and without the lock, for showing what is cached."""
        return self._load(key)[0]

    def put(self, key: str, files: Sequence[Path], info: Mapping[str, Any] | None = None) -> Entry:
        """Copy files into the store as one entry, in place of an earlier one of that key.

        It is there as a whole or not at all, whenever the process or the machine stops. Raises `StoreError` when two
        files have one name, and `DiskFullError`.
        """
        self._require_lock()
        names = [file.name for file in files]
        if len(set(names)) < len(names) or _INDEX in names:
            raise StoreError(Problem("two files of one result have the same name", ", ".join(names)))
        with _disk_errors(self.root):
            staged = Path(tempfile.mkdtemp(dir=self._staging))
            try:
                self._verified[key] = self._publish(staged, key, files, dict(info or {}))
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
        return self._verified[key]

    def take_notices(self) -> tuple[Problem, ...]:
        """Return what the user should know since the last call, such as damaged entries."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def journal(self, event: Mapping[str, Any]) -> None:
        """Append an event to the journal; see `Journal.append`."""
        self._require_lock()
        with _disk_errors(self.root):
            self._journal.append(event)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the journal's events, oldest first."""
        return self._journal.events()

    @property
    def _staging(self) -> Path:
        return self.root / "staging"

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of the store")
        return self.root / key[:2] / key

    def _require_lock(self) -> None:
        if self._lock is None:
            raise RuntimeError("the store was not entered")

    def _load(self, key: str) -> tuple[Entry | None, str]:
        """Return the entry as recorded, or why its record cannot be read."""
        folder = self._folder(key)
        try:
            record = json.loads((folder / _INDEX).read_bytes())
            files = tuple(
                StoredFile(folder / file["name"], int(file["size"]), Sha256(file["sha256"])) for file in record["files"]
            )
            if _digest(record) != record.get("digest", _digest(record)):
                return None, f"{_INDEX} is not as it was written"
            if record["format"] != _FORMAT or record["key"] != key:
                return None, f"{_INDEX} is of another form or another entry"
            return Entry(key, files, record["info"]), ""
        except (FileNotFoundError, NotADirectoryError):
            return None, f"{_INDEX} is missing" if folder.exists() else ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            return None, f"{_INDEX} cannot be read: {error!r}"

    def _publish(self, staged: Path, key: str, files: Sequence[Path], info: dict[str, Any]) -> Entry:
        folder = self._folder(key)
        stored = [_copy(file, staged / file.name) for file in files]
        record = {
            "format": _FORMAT,
            "key": key,
            "files": [{"name": file.path.name, "size": file.size, "sha256": file.sha256} for file in stored],
            "info": info,
        }
        with (staged / _INDEX).open("x", encoding="utf-8") as file:
            json.dump({**record, "digest": _digest(record)}, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        staged.chmod(0o755)
        _sync_folder(staged)
        folder.parent.mkdir(exist_ok=True)
        self._drop(folder)
        staged.rename(folder)
        _sync_folder(folder.parent)
        placed = tuple(StoredFile(folder / file.path.name, file.size, file.sha256) for file in stored)
        return Entry(key, placed, info)

    def _drop(self, folder: Path) -> None:
        # Renamed first: a removal cut short would leave half an entry.
        if folder.exists():
            doomed = self._staging / f"{folder.name}.{time.monotonic_ns()}"
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        self._verified.pop(folder.name, None)


def _damage(entry: Entry) -> str:
    for file in entry.files:
        try:
            with file.path.open("rb") as content:
                found = os.fstat(content.fileno())
                if found.st_size != file.size:
                    return f"{file.path.name} has another size than recorded"
                if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                    return f"{file.path.name} has another digest than recorded"
                if stat.S_IMODE(found.st_mode) != _MODE:
                    # results are linked to it, and a server could not read them
                    os.fchmod(content.fileno(), _MODE)
        except OSError as error:
            return f"{file.path.name} cannot be read: {error.strerror}"
    return ""


def _digest(record: Mapping[str, Any]) -> str:
    """Return the digest of what a record says; its own is not part of that. Older records have none."""
    said = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _copy(source: Path, target: Path) -> StoredFile:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        writer.flush()
        os.fchmod(writer.fileno(), _MODE)
        os.fsync(writer.fileno())
    return StoredFile(target, size, Sha256(digest.hexdigest()))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(
                Problem("no space left in the store", str(root), fix="free some, then run again")
            ) from error
        raise StoreError(Problem(f"cannot be used: {error.strerror}", error.filename or str(root))) from error

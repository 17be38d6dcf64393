"""What goes over the wire to a worker and back: a line, a head in JSON, and files, one after the other.

An archive's format would bring links, devices, owners and paths along, and a parser that reads what strangers send.
Here a file is a plain name, a size and a digest, all in the head, so that everything is refused or known before the
first byte of content is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elpack import strict
from elpack.archives.members import name_fault
from elpack.errors import ArchiveError, Problem
from elpack.tables import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

PROTOCOL = 1
"""Raise it when a worker of before would not understand what is sent."""

_MAGIC = "elpack-worker"
_LINE = 64
_BEGINNING = re.compile(rf"{_MAGIC} ([0-9]{{1,9}}) ([0-9]{{1,9}})\n".encode())
_LONGEST_HEAD = 4 << 20
_MOST_FILES = 4096
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SHOWN = 200


class OtherVersionError(Exception):
    """The other end is another elpack; its version, or that of its protocol, is the argument."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a parcel: what it is for, its name without any folder, its size in bytes, its digest."""

    role: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the files: values that have not been looked at, and the files to come."""

    values: Table
    items: tuple[Item, ...]

    def done(self) -> None:
        """Raise `ArchiveError` with all that was wrong in the values that were asked for, or that nobody asked for."""
        self.values.done()
        if self.values.problems:
            raise ArchiveError(*self.values.problems)


def send(stream: IO[bytes], values: Mapping[str, object], files: Sequence[tuple[str, Path]]) -> None:
    """Write a parcel: the same values and files give the same bytes. files: each with its role."""
    items = [_item(role, path) for role, path in files]
    listed = [{"role": one.role, "name": one.name, "size": one.size, "sha256": one.sha256} for one in items]
    head = json.dumps({**values, "files": listed}, sort_keys=True, separators=(",", ":")).encode()
    stream.write(f"{_MAGIC} {PROTOCOL} {len(head)}\n".encode() + head)
    for item, (_, path) in zip(items, files, strict=True):
        _send_file(stream, item, path)
    stream.flush()


def receive_head(stream: IO[bytes], what: str, most: int, roles: Collection[str]) -> Head:
    """Read what stands before the files. what: names the parcel in messages; most: bytes of all files together.

    Raises `EOFError` when the stream ends, `OtherVersionError`, and `ArchiveError` for what is no parcel, for names
    that are more than a name, for files in other roles than these, and for too much of anything.
    """
    size = _size_of_head(stream, what)
    head = _exactly(stream, size)
    try:
        values = strict.json_value(head)
    except ValueError as error:
        raise ArchiveError(Problem(f"its head is no JSON: {error}", what)) from error
    if not isinstance(values, dict):
        raise ArchiveError(Problem("its head is no JSON object", what))
    table = Table(what, values)
    items = tuple(_items(table, most, roles))
    if table.problems:
        raise ArchiveError(*table.problems)
    return Head(table, items)


def receive_files(stream: IO[bytes], head: Head, into: Path) -> dict[str, tuple[Path, ...]]:
    """Read the files into new folders, one for each role, and return them by role.

    Raises `EOFError` when the stream ends, and `ArchiveError` when a file is not the one that was announced.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for item in head.items:
        path = into / item.role / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if _receive_file(stream, path, item.size) != item.sha256:
            raise ArchiveError(Problem(f"{item.name} is not the file that was announced", head.values.file))
        found[item.role] = (*found.get(item.role, ()), path)
    return found


def is_file_name(name: str) -> bool:
    """Tell a plain name from a path, an option, a hidden file, and what no file is called."""
    return not (name_fault(name) or "/" in name or name.startswith((".", "-")))


def _item(role: str, path: Path) -> Item:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Item(role, path.name, file.tell(), digest)


def _send_file(stream: IO[bytes], item: Item, path: Path) -> None:
    left = item.size
    with path.open("rb") as file:
        while chunk := file.read(min(_CHUNK, left)):
            stream.write(chunk)
            left -= len(chunk)
    if left:
        raise ArchiveError(Problem(f"{path} changed while it was sent"))


def _size_of_head(stream: IO[bytes], what: str) -> int:
    line = stream.readline(_LINE)
    if len(line) < _LINE and not line.endswith(b"\n") and line[: len(_MAGIC)] == _MAGIC.encode()[: len(line)]:
        raise EOFError
    match = _BEGINNING.fullmatch(line)
    if match is None:
        why = "something else than elpack writes there, such as a shell's start-up files"
        raise ArchiveError(Problem(f"it begins with {line!r}", what, why))
    if int(match[1]) != PROTOCOL:
        raise OtherVersionError(f"with protocol {int(match[1])}")
    if int(match[2]) > _LONGEST_HEAD:
        raise ArchiveError(Problem(f"its head has {int(match[2])} bytes, more than {_LONGEST_HEAD}", what))
    return int(match[2])


def _items(table: Table, most: int, roles: Collection[str]) -> Iterable[Item]:
    seen: set[tuple[str, str]] = set()
    total = 0
    for entry in table.tables("files"):
        role, name, sha256 = (entry.get(key, str) for key in ("role", "name", "sha256"))
        item = Item(role, name, entry.get("size", int), sha256)
        entry.done()
        total += item.size
        if item.role not in roles:
            entry.problem("role", f"expected {' or '.join(roles)}")
        if not is_file_name(item.name):
            entry.problem("name", f"{item.name[:_SHOWN]!r} is no name of a file")
        if item.size < 0 or not _SHA256.match(item.sha256):
            entry.problem("size", "expected a size and a sha256")
        if (item.role, item.name) in seen:
            entry.problem("name", f"{item.name!r} is there twice")
        seen.add((item.role, item.name))
        if len(seen) > _MOST_FILES or total > most or len(table.problems) > _LINE:
            entry.problem("", f"more than {_MOST_FILES} files or {most} bytes, or nothing in it is right")
            return
        yield item


def _receive_file(stream: IO[bytes], path: Path, size: int) -> str:
    """Read so many bytes into a new file and return their digest."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while size:
            chunk = stream.read(min(_CHUNK, size))
            if not chunk:
                raise EOFError
            digest.update(chunk)
            file.write(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data

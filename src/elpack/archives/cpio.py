"""Reads the payload of an RPM as rpm2cpio gives it: a cpio archive in the format that rpm writes (SVR4, "newc")."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elpack.archives.members import LIMITS, Limits, Refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGICS = (b"070701", b"070702")
_HEADER = 110
_FIELDS = 13
_INODE, _MODE, _LINKS, _SIZE, _NAME = 0, 1, 4, 6, 11
_LAST = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """A file or a symbolic link, whose content is where it points to. `path` is absolute, `mode` as `stat` has it."""

    path: str
    mode: int
    content: bytes

    @property
    def is_link(self) -> bool:
        """Tell a symbolic link from a file."""
        return stat.S_ISLNK(self.mode)


def read_payload(path: Path, limits: Limits = LIMITS) -> Iterator[PayloadFile]:
    """Yield the files and links of a payload; of files with several names each, with the content.

    Raises `ArchiveError` for what rpm does not write, and for more than `limits` allow.
    """
    refusals = Refusals(path.name)
    waiting: dict[int, list[tuple[str, int]]] = {}
    total = count = 0
    with path.open("rb") as file:
        while True:
            header = _exactly(file, _HEADER, refusals)
            fields = _fields(header, refusals)
            name = _exactly(file, fields[_NAME], refusals)[:-1].decode(errors="surrogateescape")
            _skip_padding(file, refusals)
            if name == _LAST:
                return
            total, count = total + fields[_SIZE], count + 1
            if total > limits.total or count > limits.members:
                raise refusals.stop(f"holds more than {limits.members} members or {limits.total} bytes")
            content = _exactly(file, fields[_SIZE], refusals)
            _skip_padding(file, refusals)
            mode, inode = fields[_MODE], fields[_INODE]
            full = _absolute(name, refusals)
            if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
                continue
            if stat.S_ISREG(mode) and fields[_LINKS] > 1:
                # the content stands with the last name only
                waiting.setdefault(inode, []).append((full, mode))
                if len(waiting[inode]) < fields[_LINKS]:
                    continue
                yield from (PayloadFile(one, its, content) for one, its in waiting.pop(inode))
            else:
                yield PayloadFile(full, mode, content)


def _fields(header: bytes, refusals: Refusals) -> list[int]:
    if header[:6] not in _MAGICS:
        raise refusals.stop("is no payload of an RPM")
    try:
        return [int(header[6 + 8 * number : 14 + 8 * number], 16) for number in range(_FIELDS)]
    except ValueError as error:
        raise refusals.stop("has a damaged header") from error


def _exactly(file: IO[bytes], size: int, refusals: Refusals) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise refusals.stop("ends too early")
    return content


def _skip_padding(file: IO[bytes], refusals: Refusals) -> None:
    _exactly(file, -file.tell() % 4, refusals)


def _absolute(name: str, refusals: Refusals) -> str:
    parts = name.removeprefix("./").strip("/").split("/")
    if ".." in parts:
        raise refusals.stop("leaves the root", name)
    return "/" + "/".join(parts)

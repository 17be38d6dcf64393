"""A zip says twice what it holds, in its central directory and before each member; here both must say the same.

Programs differ in which of the two they believe, so that one zip could be two wheels: one that was looked at, and one
that is installed. What lies between members, before the first or behind the end is seen by some programs only.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from elpack.archives.members import Refusals

_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY = 46
_END = struct.Struct("<4s4H2LH")
_END64 = 56
_LOCATOR64 = 20
_DESCRIBED = 0x8
_UTF8 = 0x800
_FULL = 0xFFFFFFFF
"""Stands for a size that is told in the zip64 extra field."""
_DESCRIPTORS = frozenset({12, 16, 20, 24})
"""What may lie behind a member that was written before its size was known."""


def check_layout(archive: zipfile.ZipFile, refusals: Refusals) -> None:
    """Note where members overlap, where there is more than members, and where the two tables contradict each other."""
    if archive.fp is None:
        raise AssertionError("the zip was closed")
    place, described = 0, False
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        _check_gap(info.header_offset - place, info.orig_filename, refusals, first=not place, described=described)
        place = info.header_offset + _check_local(archive.fp, info, archive.start_dir, refusals)
        described = bool(info.flag_bits & _DESCRIBED)
    _check_gap(archive.start_dir - place, "", refusals, first=not place, described=described)
    _check_end(archive, archive.fp, refusals)


def _check_gap(gap: int, name: str, refusals: Refusals, *, first: bool, described: bool) -> None:
    if gap < 0:
        refusals.add("shares its bytes with another member", name)
    elif gap and first:
        refusals.add(f"holds {gap} bytes before its first member")
    elif gap and not (described and gap in _DESCRIPTORS):
        refusals.add(f"holds {gap} bytes before this that belong to no member", name or "the central directory")


def _check_local(file: IO[bytes], info: zipfile.ZipInfo, place_of_directory: int, refusals: Refusals) -> int:
    """Return the size of header, name and data; the header must say what the central directory says."""
    if not 0 <= info.header_offset < place_of_directory:
        raise zipfile.BadZipFile("a member lies outside of the zip")
    file.seek(info.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile("a member's header is missing")
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    name, packed_size = info.orig_filename, int(info.compress_size)
    if file.read(name_size) != _raw(info):
        refusals.add("has another name before its data than in the central directory", name)
    unknown = {0, _FULL} if flags & _DESCRIBED else {_FULL}
    said = ((crc, info.CRC), (packed, info.compress_size), (size, info.file_size))
    if any(local != central and local not in unknown for local, central in said):
        refusals.add("has another size or checksum before its data than in the central directory", name)
    if method != info.compress_type or (flags ^ info.flag_bits) & ~_UTF8:
        refusals.add("is packed in another way before its data than in the central directory", name)
    return int(_LOCAL.size + name_size + extra_size + packed_size)


def _check_end(archive: zipfile.ZipFile, file: IO[bytes], refusals: Refusals) -> None:
    """Look at what follows the central directory: the end record, with its zip64 form before it, and a comment."""
    infos = archive.infolist()
    file.seek(
        archive.start_dir + sum(_DIRECTORY + len(_raw(info)) + len(info.extra) + len(info.comment) for info in infos)
    )
    tail = file.read(_END64 + _LOCATOR64 + _END.size + (1 << 16) + 1)
    if tail.startswith(b"PK\6\6"):
        tail = tail[_END64 + _LOCATOR64 :]
    if len(tail) < _END.size or not tail.startswith(b"PK\5\6"):
        refusals.add("holds something between its central directory and its end")
        return
    _, disk, other_disk, count, total, _, _, comment = _END.unpack(tail[: _END.size])
    if len(tail) != _END.size + comment:
        refusals.add("holds something behind its end")
    if disk or other_disk or count != total or count not in {len(infos), 0xFFFF}:
        refusals.add("contradicts itself about its disks and its members")
    if b"PK\5\6" in tail[_END.size :]:
        refusals.add("has a comment that is the end of another zip")


def _raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437", errors="replace")

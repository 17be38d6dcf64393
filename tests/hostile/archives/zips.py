"""Zips written byte by byte, so that they can lie about anything, and wheels made of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tests.hostile.corpus import INFO, Project, metadata, record_hash

STORED, DEFLATED = 0, 8
UTF8 = 0x800
FILE, LINK, FIFO, DEVICE, FOLDER = 0o100644, 0o120777, 0o010644, 0o020644, 0o040755


@dataclass
class Entry:
    """One member. What is None is as it should be; the rest stands in the zip as it is given.

    `central_*` stand in the central directory, `local_*` in the header before the data; `packed` is what lies behind
    that. With `shares` nothing is written: the member's data are those of the entry before it.
    """

    name: str | bytes
    data: bytes = b""
    mode: int = FILE
    method: int = DEFLATED
    flags: int = UTF8
    packed: bytes | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    central_size: int | None = None
    central_crc: int | None = None
    extra: bytes = b""
    shares: bool = False
    offset: int | None = None

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode(errors="surrogateescape")

    @property
    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != DEFLATED:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()


def zip_of(entries: list[Entry], *, before: bytes = b"", comment: bytes = b"", after: bytes = b"") -> bytes:
    """Return a zip of the entries."""
    out, central, at = bytearray(before), bytearray(), 0
    for entry in entries:
        local, body = entry.raw_name if entry.local_name is None else entry.local_name, entry.body
        crc = zlib.crc32(entry.data) if entry.central_crc is None else entry.central_crc
        size = len(entry.data) if entry.central_size is None else entry.central_size
        local_size = size if entry.local_size is None else entry.local_size
        if not entry.shares:
            at = len(out)
            out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, entry.flags, entry.method, 0, 0x5B6B, crc, len(body),
                               local_size, len(local), 0) + local + body  # fmt: skip
        where = at if entry.offset is None else entry.offset
        central += struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, entry.flags, entry.method, 0, 0x5B6B, crc,
                               len(body), size, len(entry.raw_name), len(entry.extra), 0, 0, 0, entry.mode << 16,
                               where) + entry.raw_name + entry.extra  # fmt: skip
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(entries), len(entries), len(central), len(out), len(comment))
    return bytes(out + central + end) + comment + after


def sound() -> dict[str, bytes]:
    """Return the files of a sound wheel, but for its RECORD."""
    return Project().wheel_files


def record(entries: list[Entry]) -> str:
    """Return a RECORD that tells the truth about the entries."""
    lines = []
    for entry in entries:
        name = entry.raw_name.decode(errors="surrogateescape")
        if not name.endswith("/"):
            quoted = '"' + name.replace('"', '""') + '"'
            lines.append(f"{quoted},sha256={record_hash(entry.data)},{len(entry.data)}\n")
    return "".join(lines) + f"{INFO}/RECORD,,\n"


def wheel_of(
    *more: Entry, files: dict[str, bytes] | None = None, said: str | bytes | None = None, **shape: bytes
) -> bytes:
    """Return a wheel of sound files and more entries. `said` is its RECORD where it is not to tell the truth."""
    entries = [Entry(name, data) for name, data in (sound() if files is None else files).items()]
    entries += more
    text = record(entries) if said is None else said
    data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
    return zip_of([*entries, Entry(f"{INFO}/RECORD", data)], **shape)


def about(name: str = "lib", *lines: str) -> bytes:
    """Return METADATA."""
    return metadata(name, *lines)

"""ELF files that are made to keep their reader busy, or to fill its memory, are refused as damaged ones are."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import pytest

from elpack.images.libraries import needed
from elpack.wheels.elf import read_elf

NAMES = b"\0x.so\0V_1\0.dynsym\0.gnu.version\0".ljust(40, b"\0")
START = 64
"""Where what is behind the header begins."""


def header(*, segments: int = 0, sections: int = 0, at: int = 0) -> bytes:
    """Return the header of a shared object whose table of segments, or of sections, is at a place."""
    places = (0, at) if sections else (at, 0)
    rest = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, *places, 0, 64, 56, segments, 64, sections, min(sections, 1))
    return b"\x7fELF\2\1\1" + bytes(9) + rest


def with_sections(version_need: bytes, count: int, versions: bytes, flags: int) -> bytes:
    """Return a shared object with tables of names, of needed versions, of symbols' versions, and of symbols."""
    bodies = [NAMES, version_need, versions, bytes(48)]
    # name, type, flags, link, info, size of an entry
    about = [
        (0, 3, 0, 0, 0, 0),
        (0, 0x6FFFFFFE, 0, 1, count, 0),
        (18, 0x6FFFFFFF, flags, 4, 0, 2),
        (10, 11, 0, 1, 0, 24),
    ]
    table, at = [bytes(64)], START
    for body, (name, kind, flag, link, info, entry) in zip(bodies, about, strict=True):
        table.append(struct.pack("<IIQQQQIIQQ", name, kind, flag, 0, at, len(body), link, info, 1, entry))
        at += len(body)
    return header(sections=len(table), at=at) + b"".join((*bodies, *table))


def need(entries: int) -> bytes:
    """Return one library that is needed, and one version of it, of which each is its own successor."""
    return struct.pack("<HHIII", 1, entries, 1, 16, 0) + struct.pack("<IHHII", 0, 0, 2, 6, 0)


def test_what_is_made_here_is_read_where_nothing_is_wrong() -> None:
    read = read_elf(with_sections(need(1), 1, bytes(4), 0), "x86_64")
    assert read is not None
    assert [(one.library, one.version) for one in read.needs] == [("x.so", "V_1")]


def test_tables_that_do_not_come_to_an_end() -> None:
    with pytest.raises(ValueError, match="do not come to an end"):
        read_elf(with_sections(need(0xFFFF), 0xFFFFFFFF, b"", 0), "x86_64")


def test_a_thousand_segments_that_are_all_the_same() -> None:
    number, dynamic = 1000, struct.pack("<QQ", 21, 0) * 5000 + bytes(16)
    segment = struct.pack("<IIQQQQQQ", 2, 4, START + 56 * number, 0, 0, len(dynamic), len(dynamic), 8)
    with pytest.raises(ValueError, match="do not come to an end"):
        needed(header(segments=number, at=START) + segment * number + dynamic)


def test_a_table_that_unpacks_to_more_than_there_is_memory() -> None:
    packed = struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + zlib.compress(bytes(1 << 20))
    with pytest.raises(ValueError, match="is compressed"):
        read_elf(with_sections(need(1), 1, packed, 0x800), "x86_64")


def test_a_real_program_is_read() -> None:
    read = read_elf(Path(sys.executable).resolve().read_bytes(), "x86_64")
    assert read is not None
    assert "libc.so.6" in read.needed


def test_a_dump_of_a_process_is_nothing_that_a_system_loads() -> None:
    dump = bytearray(header())
    dump[16] = 4
    read = read_elf(bytes(dump), "")
    assert read is not None
    assert not read.linked

"""Programs for two architectures, small enough to be written down as they are: no compiler for either is needed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACE, _HEAD = 0x400000, 64 + 56
_MACHINES = {"amd64": 62, "arm64": 183}


def program(architecture: str) -> bytes:
    """Return a static program that prints the name of its architecture, as Go calls it, and ends with 0."""
    said = f"{architecture}\n".encode()
    code = _amd64(len(said)) if architecture == "amd64" else _arm64(len(said))
    content = code + said
    size = _HEAD + len(content)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    sizes = (64, 56, 1, 0, 0, 0)
    head = struct.pack("<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, _PLACE + _HEAD, 64, 0, 0, *sizes)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _PLACE, _PLACE, size, size, 0x1000)
    return identity + head + segment + content


def shared(asked: Iterable[str] = (), given: Iterable[str] = (), *, weak: Iterable[str] = ()) -> bytes:
    """Return a library that has nothing but its table of symbols: undefined ones, defined ones, and weak undefined."""
    names, symbols = b"\0", bytes(24)
    for group, bind, section in ((asked, 1, 0), (given, 1, 1), (weak, 2, 0)):
        for name in group:
            symbols += struct.pack("<IBBHQQ", len(names), bind << 4 | 2, 0, section, 0, 0)
            names += f"{name}\0".encode()
    titles = b"\0.dynsym\0.dynstr\0.shstrtab\0"
    places = (64, 64 + len(symbols), 64 + len(symbols) + len(names))
    end = places[2] + len(titles)
    head = struct.pack("<HHIQQQIHHHHHH", 3, _MACHINES["amd64"], 1, 0, 0, end, 0, 64, 0, 0, 64, 4, 3)
    sections = bytes(64)
    for title, kind, place, size, link, each in (
        (1, 11, places[0], len(symbols), 2, 24),
        (9, 3, places[1], len(names), 0, 0),
        (17, 3, places[2], len(titles), 0, 0),
    ):
        sections += struct.pack("<IIQQQQIIQQ", title, kind, 0, 0, place, size, link, 1, 8, each)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + head + symbols + names + titles + sections


def _amd64(length: int) -> bytes:
    head = b"\xb8\x01\0\0\0" + b"\xbf\x01\0\0\0"  # write, to 1
    tail = b"\xba" + struct.pack("<I", length) + b"\x0f\x05" + b"\xb8\x3c\0\0\0" + b"\x31\xff" + b"\x0f\x05"  # exit
    return head + b"\x48\x8d\x35" + struct.pack("<i", len(tail)) + tail


def _arm64(length: int) -> bytes:
    def moved(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    call = 0xD4000001
    tail = [moved(2, length), moved(8, 64), call, moved(0, 0), moved(8, 93), call]  # write, exit
    distance = 4 * (len(tail) + 1)
    address = 0x10000001 | (distance & 3) << 29 | (distance >> 2) << 5
    return struct.pack(f"<{len(tail) + 2}I", moved(0, 1), address, *tail)

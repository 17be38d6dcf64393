"""Programs for two architectures, small enough to be written down as they are: no compiler for either is needed."""

from __future__ import annotations

import struct

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

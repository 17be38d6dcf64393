"""Headers as `rpmdb --exportdb` writes them: read, and made the same wherever and whenever they were installed.

A header is the package's own part, which its digests and signatures cover, and behind it what rpm added when it
installed the package (`dribbles` in rpm's source). Only the latter is changed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
_ENTRY = struct.Struct(">IIiI")  # tag, type, offset, count
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}  # bytes of one value: char, int8, int16, int32, int64, binary
_TEXTS = (6, 8, 9)  # one text, several, one for each language
_IMMUTABLE = 63
_LIMIT = 256 * 2**20

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_MTIMES, _INDEXES, _BASENAMES, _FOLDERS = 1034, 1116, 1117, 1118
_INSTALL_TIME, _INSTALL_TRANSACTION = 1008, 1128
_SIGNATURES = frozenset({259, 262, 267, 268, 278})
"""SIGPGP, SIGGPG, DSAHEADER, RSAHEADER, OPENPGP."""


@dataclass(frozen=True, slots=True)
class _Value:
    tag: int
    type: int
    count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One package of a database. files: the modification time that the package says, in epoch seconds, by path."""

    name: str
    nvra: str
    files: Mapping[str, int]
    _own: tuple[_Value, ...]
    _raw: bytes
    _added: tuple[_Value, ...]

    def fixed(self, when: int, *, signed: bool) -> bytes:
        """Return its header with `when` as the time of installation, and without signatures unless it is `signed`."""
        added = [
            _Value(one.tag, one.type, one.count, struct.pack(">I", when))
            if one.tag in {_INSTALL_TIME, _INSTALL_TRANSACTION}
            else one
            for one in self._added
            if signed or one.tag not in _SIGNATURES
        ]
        return _joined(self._raw, len(self._own) + 1, added)


def read_database(exported: bytes) -> tuple[InstalledPackage, ...]:
    """Return the packages of a database, in its order. Raises ValueError where it is no such thing."""
    try:
        return tuple(_packages(exported))
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise ValueError(f"the rpm database cannot be read: {error}") from error


def fixed_database(packages: Iterable[InstalledPackage], when: int, signed: Iterable[str]) -> bytes:
    """Return what `rpmdb --importdb` makes the same database of, wherever the packages came from.

    By name, not by the order of installation; without the keys that were trusted; with signatures of the packages
    `signed` (NVRA) alone.
    """
    keep = frozenset(signed)
    wanted = sorted((one for one in packages if one.name != "gpg-pubkey"), key=lambda one: (one.name, one.nvra))
    return b"".join(one.fixed(when, signed=one.nvra in keep) for one in wanted)


def _packages(exported: bytes) -> Iterator[InstalledPackage]:
    start = 0
    while start < len(exported):
        if exported[start : start + 8] != _MAGIC:
            raise ValueError(f"no header at byte {start}")
        entries, size = struct.unpack_from(">II", exported, start + 8)
        end = start + 16 + 16 * entries + size
        if end > len(exported) or size > _LIMIT:
            raise ValueError(f"the header at byte {start} is cut short")
        yield _package(exported[start:end], entries)
        start = end


def _package(header: bytes, entries: int) -> InstalledPackage:
    index = list(_ENTRY.iter_unpack(header[16 : 16 + 16 * entries]))
    data = header[16 + 16 * entries :]
    if index[0][0] != _IMMUTABLE:
        raise ValueError("a header has no immutable region")
    trailer = index[0][2]
    own = -_ENTRY.unpack_from(data, trailer)[2] // 16
    values = [_value(data, *entry) for entry in index[1:]]
    by_tag = {value.tag: value for value in values[: own - 1]}
    name, version, release, arch = (
        _texts(by_tag[tag])[0] if tag in by_tag else "" for tag in (_NAME, _VERSION, _RELEASE, _ARCH)
    )
    raw = header[16 : 16 + 16 * own] + data[: trailer + 16]
    nvra = f"{name}-{version}-{release}.{arch}"
    return InstalledPackage(name, nvra, _files(by_tag), tuple(values[: own - 1]), raw, tuple(values[own - 1 :]))


def _files(values: Mapping[int, _Value]) -> dict[str, int]:
    if _BASENAMES not in values:
        return {}
    names, folders = _texts(values[_BASENAMES]), _texts(values[_FOLDERS])
    times, indexes = _numbers(values[_MTIMES]), _numbers(values[_INDEXES])
    paths = (folders[index] + name for index, name in zip(indexes, names, strict=True))
    return {str(PurePosixPath(path)): time for path, time in zip(paths, times, strict=True)}


def _value(data: bytes, tag: int, kind: int, offset: int, count: int) -> _Value:
    if kind in _SIZES:
        end = offset + _SIZES[kind] * count
    elif kind in _TEXTS:
        end = offset
        for _ in range(count):
            end = data.index(b"\0", end) + 1
    else:
        raise ValueError(f"tag {tag} of a header has the unknown type {kind}")
    if not 0 <= offset <= end <= len(data):
        raise ValueError(f"tag {tag} of a header lies outside of it")
    return _Value(tag, kind, count, data[offset:end])


def _texts(value: _Value) -> list[str]:
    return value.data.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _numbers(value: _Value) -> tuple[int, ...]:
    return struct.unpack(f">{value.count}I", value.data)


def _joined(raw: bytes, own: int, added: Iterable[_Value]) -> bytes:
    """Return a header of its own part as it was, and of what is added behind it, aligned as rpm wants it."""
    index, data = raw[: 16 * own], bytearray(raw[16 * own :])
    for value in added:
        size = _SIZES.get(value.type, 1)
        data += bytes(-len(data) % size)
        index += _ENTRY.pack(value.tag, value.type, len(data), value.count)
        data += value.data
    return _MAGIC + struct.pack(">II", len(index) // 16, len(data)) + index + bytes(data)

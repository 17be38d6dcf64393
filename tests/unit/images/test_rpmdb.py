"""Headers of an rpm database are read, and made the same wherever and whenever they were installed."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elpack.images.rpmdb import fixed_database, read_database

MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
INT8, INT32, STRING, BINARY, ARRAY = 2, 4, 6, 7, 8
NAME, VERSION, RELEASE, ARCH = 1000, 1001, 1002, 1022
MTIMES, INDEXES, BASENAMES, FOLDERS = 1034, 1116, 1117, 1118
SIGNATURE, TIME, STATES, TRANSACTION = 268, 1008, 1029, 1128


def header(name: str, when: int, signature: bytes = b"", files: tuple[str, ...] = ("a", "b")) -> bytes:
    """Return a header as rpm writes one: its own part with a region's trailer, and what was added behind it."""

    def numbers(*values: int) -> bytes:
        return struct.pack(f">{len(values)}I", *values)

    own = [
        (NAME, STRING, 1, name.encode() + b"\0"),
        (VERSION, STRING, 1, b"1\0"),
        (RELEASE, STRING, 1, b"2\0"),
        (ARCH, STRING, 1, b"noarch\0"),
        (MTIMES, INT32, len(files), numbers(*(7 for _ in files))),
        (INDEXES, INT32, len(files), numbers(*(0 for _ in files))),
        (BASENAMES, ARRAY, len(files), b"".join(file.encode() + b"\0" for file in files)),
        (FOLDERS, ARRAY, 1, b"/opt/\0"),
    ]
    added = [(SIGNATURE, BINARY, len(signature), signature)] if signature else []
    added += [
        (TIME, INT32, 1, numbers(when)),
        (STATES, INT8, 3, b"\0\0\0"),
        (TRANSACTION, INT32, 1, numbers(when + 1)),
    ]
    data, index = b"", []
    for tag, kind, count, value in own:
        data += bytes(-len(data) % 4 if kind == INT32 else 0)
        index.append((tag, kind, len(data), count))
        data += value
    region = (63, BINARY, len(data), 16)
    data += struct.pack(">IIiI", 63, BINARY, -16 * (len(own) + 1), 16)
    for tag, kind, count, value in added:
        data += bytes(-len(data) % 4 if kind == INT32 else 0)
        index.append((tag, kind, len(data), count))
        data += value
    packed = b"".join(struct.pack(">IIII", *entry) for entry in (region, *index))
    return MAGIC + struct.pack(">II", len(index) + 1, len(data)) + packed + data


def test_a_package_tells_its_name_and_the_times_of_its_files() -> None:
    (found,) = read_database(header("toy", 5))
    assert (found.name, found.nvra) == ("toy", "toy-1-2.noarch")
    assert found.files == {"/opt/a": 7, "/opt/b": 7}


def test_order_time_keys_and_signatures_leave_no_trace() -> None:
    here = read_database(header("b", 5, b"mine") + header("a", 6, b"mine") + header("gpg-pubkey", 5, files=("k",)))
    there = read_database(header("a", 999, b"another's") + header("b", 999))
    assert fixed_database(here, 42, ()) == fixed_database(there, 42, ())
    assert fixed_database(here, 42, ()) == header("a", 42).replace(
        struct.pack(">I", 43), struct.pack(">I", 42)
    ) + header("b", 42).replace(struct.pack(">I", 43), struct.pack(">I", 42))


def test_the_target_s_own_signatures_are_kept() -> None:
    packages = read_database(header("toy", 5, b"theirs"))
    assert b"theirs" in fixed_database(packages, 5, ["toy-1-2.noarch"])
    assert b"theirs" not in fixed_database(packages, 5, [])


def test_what_was_fixed_is_read_again() -> None:
    packages = read_database(header("toy", 5, b"odd"))
    (again,) = read_database(fixed_database(packages, 42, ["toy-1-2.noarch"]))
    assert again.files == packages[0].files
    assert again.fixed(42, signed=True) == packages[0].fixed(42, signed=True)


@given(st.binary(max_size=64), st.integers(0, 400))
def test_a_damaged_header_is_refused_or_read(noise: bytes, place: int) -> None:
    whole = bytearray(header("toy", 5, b"mine"))
    whole[place : place + len(noise)] = noise
    with suppress(ValueError):  # and nothing else
        for package in read_database(bytes(whole)):
            assert package.fixed(42, signed=True).startswith(MAGIC)


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_header_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="rpm database"):
        read_database(header("toy", 5)[:-cut])

"""Libraries that an image lacks, and what is asked of files that only look like programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elpack.images.libraries import Libraries, needed

PYTHON = Path(sys.executable).resolve().read_bytes()


def test_a_program_names_its_libraries() -> None:
    assert "libc.so.6" in needed(PYTHON)
    assert needed(b"#!/bin/sh\n") == ()


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF\2\1\1" + 9 * b"\0", PYTHON[:4096]])
def test_a_damaged_program_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="no sound ELF file"):
        needed(content)


@given(st.binary(max_size=200), st.integers(0, 3000), st.binary(max_size=64))
def test_whatever_the_bytes_there_is_no_other_error(tail: bytes, where: int, what: bytes) -> None:
    for content in (b"\x7fELF" + tail, PYTHON[:where] + what + PYTHON[where + len(what) : 20000]):
        try:
            needed(content)
        except ValueError:
            continue


def test_a_library_of_any_layer_or_link_counts() -> None:
    libraries = Libraries()
    libraries.add({}, ["libc.so.6"])
    libraries.add({"libc.so.6": "a.so", "libstdc++.so.6": "b.so"}, ["libours.so"])
    libraries.add({"libours.so": "c.so", "libstdc++.so.6": "d.so"}, [])
    assert [(one.what, one.where) for one in libraries.missing()] == [("libstdc++.so.6 is not in the image", "b.so")]

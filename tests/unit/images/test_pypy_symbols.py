"""What extension modules ask of PyPy and it does not give, on libraries that are tables of symbols alone."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.images.layouts import make_archive
from tests.contract.images.programs import shared

from elpack.errors import ImageError
from elpack.images.bases import definition
from elpack.images.pypy_symbols import LayerSymbols, Symbols, interface, is_interpreter
from elpack.run import run
from elpack.steps.images.archive import Archive
from elpack.steps.images.looks import Look, look_at

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "usr/lib/x86_64-linux-gnu/libpypy3.11-c.so"
PYPY = shared(given=["PyPyModule_New", "_PyPy_Dealloc", "pypy_main_startup"]) + b"\n[PyPy 7.3.19 with GCC 14.2.0]\0"
SITE = "opt/app/lib/pypy3.11/site-packages"
MODULE = f"{SITE}/sealed/_rust.pypy311-pp73-x86_64-linux-gnu.so"
LATER = "PyPyModule_FromDefAndSpec2"
COMPRESSED = 0x800


def test_names_of_the_interface_are_read_and_weak_ones_may_be_missing() -> None:
    found = interface(shared(["PyPyList_New", "malloc", "_PyPy_Dealloc"], ["PyInit_x", "y"], weak=["PyPyLater"]))
    assert found == (("PyPyList_New", "_PyPy_Dealloc"), ("PyInit_x",))
    assert interface(b"#!/bin/sh\n") == ((), ())


@pytest.mark.parametrize("section", [1, 2])
def test_tables_are_not_unpacked_for_they_may_be_of_any_size(section: int) -> None:
    content = bytearray(shared(["PyPyList_New"]))
    (headers,) = struct.unpack_from("<Q", content, 40)
    place, packed = len(content), struct.pack("<IIQQ", 1, 0, 24, 1) + bytes(24)
    struct.pack_into("<Q", content, headers + 64 * section + 8, COMPRESSED)
    struct.pack_into("<QQ", content, headers + 64 * section + 24, place, len(packed))
    with pytest.raises(ValueError, match="compressed"):
        interface(bytes(content) + packed)


@given(st.integers(0, 400), st.binary(max_size=24))
def test_whatever_the_bytes_there_is_no_other_error(where: int, what: bytes) -> None:
    content = shared(["PyPyList_New"], ["PyInit_x"])
    try:
        interface(content[:where] + what + content[where + len(what) :])
    except ValueError:
        return


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (LIBRARY, True),
        ("opt/pypy/bin/libpypy3.11-c.so", True),
        ("opt/pypy/bin/pypy3.11", True),
        ("usr/bin/pypy3clean", False),
        ("usr/lib/pypy3.11/_sqlite3_cffi.pypy311-pp73-x86_64-linux-gnu.so", False),
    ],
)
def test_pypy_is_known_by_its_files(path: str, *, wanted: bool) -> None:
    assert is_interpreter(path) is wanted


def seen(*files: tuple[str, bytes], base: bytes = PYPY) -> Symbols:
    symbols = Symbols("pypy-standin")
    for layer in (((LIBRARY, base),), files):
        one = LayerSymbols()
        for path, content in layer:
            one.look(path, content)
        symbols.add(one.found())
    return symbols


def test_every_module_that_asks_for_more_is_told_with_its_dist() -> None:
    record = b"sealed/_rust.pypy311-pp73-x86_64-linux-gnu.so,sha256=x,9\nsealed/a.py,,\n"
    files = (
        (MODULE, shared(["PyPyModule_New", LATER])),
        (f"{SITE}/sealed-50.0.2.dist-info/RECORD", record),
        (f"{SITE}/loose.so", shared([f"PyUnicode_{number}" for number in range(7)])),
        (f"{SITE}/sound.so", shared(["PyPyModule_New", "_PyPy_Dealloc"])),
    )
    loose, sealed = seen(*files).missing()
    assert (sealed.what, sealed.where) == (
        f"sealed 50.0.2 asks for {LATER}, which PyPy 7.3.19 of base pypy-standin does not have",
        MODULE,
    )
    assert "PyUnicode_4 and 2 more" in loose.what
    assert "a base with a newer PyPy" in sealed.fix


def test_what_another_file_gives_is_not_missing() -> None:
    assert [*seen((MODULE, shared([LATER])), (f"{SITE}/libgiven.so", shared(given=[LATER]))).missing()] == []


def test_a_base_without_pypy_is_refused_and_not_taken_for_a_sound_one() -> None:
    (problem,) = seen((MODULE, shared(["PyPyModule_New"])), base=b"no library").missing()
    assert problem.what.startswith("no PyPy was found in it")


def test_an_image_whose_pypy_cannot_import_its_modules_is_refused(tmp_path: Path) -> None:
    names = {0: LIBRARY, 1: MODULE}

    def look(module: bytes, pypy: str) -> None:
        make_archive(tmp_path / "a.tar", layers=(PYPY, module), names=names)
        archive = Archive(tmp_path / "a.tar")
        wanted = Look(frozenset(), (), 1, "/opt/app", tmp_path / "seen.json", run, pypy)
        for _ in range(2):  # what was right once is remembered
            look_at(archive, archive.images[0], wanted)

    look(shared(["PyPyModule_New"]), "pypy-standin")
    look(shared([LATER]), "")  # CPython's business is another
    with pytest.raises(ImageError, match=f"it asks for {LATER}, which PyPy 7.3.19 of base pypy-standin"):
        look(shared([LATER]), "pypy-standin")


def test_only_the_stand_in_is_given_functions_of_a_later_pypy() -> None:
    assert definition("pypy-standin").later == (LATER,)
    assert "7.3.20" in definition("pypy-standin").title
    assert definition("pypy-slim").later == ()

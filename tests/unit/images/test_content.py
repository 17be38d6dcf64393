"""What a layer may not hold, found by paths and by what is in the files."""

from __future__ import annotations

import importlib.util
import struct

import pytest

from elpack.images.content import Findings, builder_paths

SITE = "opt/shop/lib/python3.11/site-packages"
SOURCE = b"print(1)\n"
CODE = b"code"


def bytecode(flags: int, rest: bytes) -> bytes:
    return importlib.util.MAGIC_NUMBER + struct.pack("<I", flags) + rest + CODE


def wrong(*files: tuple[str, int, bytes], own: tuple[str, ...] = (), builder: tuple[bytes, ...] = ()) -> list[str]:
    findings = Findings(own, builder)
    for file in files:
        findings.look(*file)
    return [f"{one.where}: {one.what}" for one in findings.all()]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "usr/bin/gcc",
            "usr/bin/x86_64-linux-gnu-gcc-12",
            "opt/shop/bin/uv",
            "usr/local/bin/pip3.11",
            "usr/bin/dnf-3",
        ),
        *("usr/bin/ld.bfd", "usr/bin/make", f"{SITE}/pip/__init__.py", f"{SITE}/uv-0.1.dist-info/METADATA"),
        *("root/.cache/uv/x", "root/.bash_history", "var/cache/dnf/x.solv", "var/lib/dnf/history.sqlite", "tmp/x"),
        *("var/log/dnf.log", f"{SITE}/a.dist-info/direct_url.json", f"{SITE}/a.dist-info/uv_cache.json"),
    ],
)
def test_what_has_no_business_there(path: str) -> None:
    assert len(wrong((path, 0, b""))) == 1


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/cat",
        "usr/bin/shadow",
        "usr/bin/basename",
        f"{SITE}/pipeline/x.py",
        "var/lib/rpm/x",
        f"{SITE}/uvloop/x.py",
    ],
)
def test_what_may_be_there(path: str) -> None:
    assert wrong((path, 0, b"")) == []


def test_an_application_may_need_an_installer() -> None:
    assert wrong((f"{SITE}/pip/__init__.py", 0, b""), own=("pip",)) == []


@pytest.mark.parametrize(
    ("code", "stale"),
    [
        (bytecode(1, importlib.util.source_hash(SOURCE)), False),
        (bytecode(1, importlib.util.source_hash(b"other")), True),
        (bytecode(0, struct.pack("<II", 77, len(SOURCE))), False),
        (bytecode(0, struct.pack("<II", 78, len(SOURCE))), True),
        (b"", True),
        # of PyPy 3.11, whose hashes are not CPython's
        (b"\xa0\x01\r\n" + bytecode(1, b"12345678")[4:], False),
        (b"\xa0\x01\r\n" + bytecode(0, struct.pack("<II", 78, len(SOURCE)))[4:], True),
    ],
)
def test_bytecode_of_another_source(code: bytes, *, stale: bool) -> None:
    path = f"{SITE}/__pycache__/a.cpython-311.pyc"
    found = wrong((path, 77, code), (f"{SITE}/a.py", 77, SOURCE))
    assert bool(found) is stale


def test_bytecode_without_a_source_is_not_looked_at() -> None:
    assert wrong((f"{SITE}/__pycache__/a.cpython-311.pyc", 0, b"x")) == []


def test_paths_of_the_builder_are_found_and_short_ones_are_none() -> None:
    assert len(wrong(("etc/x", 0, b"..../srv/build/.elpack/x"), builder=builder_paths("/srv/build/.elpack"))) == 1
    assert builder_paths("/work") == ()

"""Smoke test: the machine code is there, is what is used, and works.

Every one of these falls back to something slower, or fails late, when its extension is missing; a broken
package would pass the other steps.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from importlib import import_module
from pathlib import Path

CFFI = (
    "_nvx_utf8validator",
    "_nvx_xormasker",
    "zlmdb._lmdb_vendor._lmdb_cffi",
    "zlmdb._lmdb_vendor._lmdb1_cffi",
)


def cffi_modules() -> None:
    """Import each CFFI extension from this prefix."""
    for name in CFFI:
        module = import_module(name)
        assert module.ffi, name
        assert module.lib, name
        assert module.__file__.startswith(sys.prefix), module.__file__
        assert module.__file__.endswith(sysconfig.get_config_var("EXT_SUFFIX")), module.__file__
        print("cffi", name)


def websocket_accelerators() -> None:
    """Validate and mask through autobahn's own entry points."""
    from autobahn.nvx._utf8validator import Utf8Validator as Native
    from autobahn.websocket import USES_NVX
    from autobahn.websocket.utf8validator import Utf8Validator
    from autobahn.websocket.xormasker import create_xor_masker

    assert USES_NVX
    assert Utf8Validator is Native
    assert Utf8Validator().validate("ä€".encode())[0]
    assert not Utf8Validator().validate(b"\xff")[0]
    text = b"abcd" * 64
    masked = create_xor_masker(b"\x01\x02\x03\x04", len(text)).process(text)
    assert masked == bytes(byte ^ (1, 2, 3, 4)[index % 4] for index, byte in enumerate(text))
    print("uses nvx")


def database() -> None:
    """Write to an LMDB file and read it back."""
    from zlmdb import lmdb

    with tempfile.TemporaryDirectory() as folder, lmdb.open(folder) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"key", b"value")
        with environment.begin() as transaction:
            assert transaction.get(b"key") == b"value"
    print("lmdb", ".".join(map(str, lmdb.version())))


def flatbuffers_compiler() -> None:
    """Run the compiler that zlmdb builds, through its entry point."""
    flatc = Path(sys.prefix, "bin", "flatc")
    done = subprocess.run([flatc, "--version"], check=True, capture_output=True, text=True)
    print(done.stdout.strip())


def ubjson() -> None:
    """See that bjdata did not fall back to pure Python, which PyPy has instead of it."""
    if sys.implementation.name == "pypy":
        print("bjdata is not for PyPy")
        return
    import bjdata

    assert bjdata.EXTENSION_ENABLED
    print("bjdata extension")


cffi_modules()
websocket_accelerators()
database()
flatbuffers_compiler()
ubjson()

"""The look at machine code in a build root, on files that gcc has just linked."""

from __future__ import annotations

import argparse
import subprocess
from typing import TYPE_CHECKING

import pytest

from elpack.assets import elpack_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HARD = ("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack")
MODULE = "int PyInit_{0}(void) {{ return 0; }}"
CFFI = 'const char *runtime = "_cffi_backend";'
SITE = "lib/python3.12/site-packages"


@pytest.fixture(autouse=True)
def tools(needs: Callable[..., None]) -> None:
    needs("gcc", "readelf")


@pytest.fixture
def link(tmp_path: Path) -> Callable[..., None]:
    """Return a function that links a file below the prefix of a build root."""

    def do(inside: str, *flags: str, source: str = "int main(void) { return 0; }") -> None:
        path = tmp_path / "root/opt/shop" / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        code = tmp_path / "code.c"
        code.write_text(source + "\n")
        subprocess.run(["gcc", "-o", str(path), str(code), *flags], check=True)

    return do


def check(tmp_path: Path, function: Callable[[argparse.Namespace], None], *exceptions: str) -> str:
    """Return the message with which a check ends the build, empty when it is content."""
    options = argparse.Namespace(root=str(tmp_path / "root"), prefix="/opt/shop", exceptions=list(exceptions))
    try:
        function(options)
    except SystemExit as error:
        return str(error.code)
    return ""


def test_hardened_code_is_let_through(tmp_path: Path, link: Callable[..., None]) -> None:
    link(f"{SITE}/_a.so", "-shared", "-fPIC", *HARD)
    link("bin/tool", "-pie", "-fPIE", *HARD)
    assert check(tmp_path, elpack_elf.hardening) == ""
    assert [code.inside for code in elpack_elf.compiled(tmp_path / "root", "/opt/shop")] == [
        "bin/tool",
        f"{SITE}/_a.so",
    ]


@pytest.mark.parametrize(
    ("flags", "weakness"),
    [
        (("-shared", "-fPIC", *HARD, "-Wl,-z,lazy"), "no full RELRO (BIND_NOW missing)"),
        (("-shared", "-fPIC", *HARD, "-Wl,-z,norelro"), "no full RELRO (GNU_RELRO missing)"),
        (("-shared", "-fPIC", *HARD, "-Wl,-z,execstack"), "an executable stack (GNU_STACK)"),
        (("-no-pie", *HARD), "no position-independent executable (PIE)"),
        (("-pie", *HARD, "-Wl,-rpath,/tmp/x", "-Wl,--disable-new-dtags"), "RPATH /tmp/x"),
        (("-pie", *HARD, "-Wl,-rpath,/tmp/x", "-Wl,--enable-new-dtags"), "RUNPATH /tmp/x"),
        (
            ("-no-pie", "-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack"),
            (
                "no full RELRO (GNU_RELRO and BIND_NOW missing), an executable stack (GNU_STACK), "
                "no position-independent executable (PIE)"
            ),
        ),
    ],
)
def test_what_is_missing_is_told(
    tmp_path: Path, link: Callable[..., None], flags: tuple[str, ...], weakness: str
) -> None:
    link("bin/weak", *flags)
    link("bin/sound", "-pie", "-fPIE", *HARD)
    message = check(tmp_path, elpack_elf.hardening)
    assert message.splitlines()[1:-1] == [f"  bin/weak: {weakness}"]
    assert "[[not-hardened]]" in message
    assert check(tmp_path, elpack_elf.hardening, "bin/we*") == ""


def test_an_exception_that_nothing_needs_is_an_error(tmp_path: Path, link: Callable[..., None]) -> None:
    link("bin/sound", "-pie", "-fPIE", *HARD)
    for name in ("bin/sound", "bin/gone"):
        assert f"remove the entry of {name}" in check(tmp_path, elpack_elf.hardening, name)


def test_what_is_no_linked_code_is_no_matter(tmp_path: Path, link: Callable[..., None]) -> None:
    link("lib/part.o", "-c")
    (tmp_path / "root/opt/shop/text").write_text("#!/bin/sh\n")
    (tmp_path / "root/opt/shop/link").symlink_to("lib/part.o")
    assert check(tmp_path, elpack_elf.hardening) == ""
    assert elpack_elf.compiled(tmp_path / "root", "/opt/shop") == []


def test_what_readelf_cannot_read_ends_the_build(tmp_path: Path) -> None:
    path = tmp_path / "root/opt/shop/cut"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF")
    assert check(tmp_path, elpack_elf.hardening).startswith(f"elpack: readelf cannot read {path}")


def test_files_of_debug_packages_are_left_alone(tmp_path: Path, link: Callable[..., None]) -> None:
    link("../../usr/lib/debug/tool.debug", "-no-pie")
    link("../../usr/bin/tool", "-pie", "-fPIE", *HARD)
    assert [code.inside for code in elpack_elf.compiled(tmp_path / "root", "/usr")] == ["bin/tool"]


def test_cffi_s_modules_are_told_from_others(tmp_path: Path, link: Callable[..., None]) -> None:
    shared = ("-shared", "-fPIC")
    link(f"{SITE}/_cffi.so", *shared, source=MODULE.format("_cffi") + CFFI)
    link(f"{SITE}/plain.so", *shared, source="int answer(void) { return 42; }")
    link(f"{SITE}/uses.so", *shared, source="int PyInit_other(void); int f(void) { return PyInit_other(); }")
    assert check(tmp_path, elpack_elf.cffi) == ""
    link(f"{SITE}/_api.so", *shared, source=MODULE.format("_api"))
    assert f"  {SITE}/_api.so: PyInit__api\n" in check(tmp_path, elpack_elf.cffi)


def test_a_hidden_function_is_no_module(tmp_path: Path, link: Callable[..., None]) -> None:
    hidden = f'__attribute__((visibility("hidden"))) {MODULE.format("x")}'
    link(f"{SITE}/hidden.so", "-shared", "-fPIC", source=hidden)
    assert check(tmp_path, elpack_elf.cffi) == ""

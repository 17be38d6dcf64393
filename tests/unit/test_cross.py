"""Cross-compiling: which compiler a target has, what builds are made believe, and what is told of them."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from elpack.cross import judge, pretence
from elpack.cross.toolchain import toolchain
from elpack.errors import ForeignArchError
from elpack.standin.mapping import parse_mapping
from elpack.steps.cross_toolchain import cross_folder, cross_repositories
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = toolchain("el9-standin", "aarch64", "x86_64")


@pytest.mark.parametrize("target", ["el9", "el9-standin"])
def test_both_targets_name_their_compiler(target: str) -> None:
    chain = toolchain(target, "aarch64", "x86_64")
    assert (chain.arch, chain.home, chain.triplet) == ("aarch64", "x86_64", "aarch64-linux-gnu")
    assert "gcc-c++-aarch64-linux-gnu" in chain.packages
    assert "CVE-2023-4039" in chain.caveat


def test_el9_takes_its_compiler_from_epel(tmp_path: Path) -> None:
    chain = toolchain("el9", "aarch64", "x86_64")
    home = resolve_target(TargetChoice("el9", "3.12", ("x86_64",)), "x86_64")
    (epel,) = cross_repositories(chain, home, tmp_path)
    assert epel.id == "epel"
    assert epel.location == "https://dl.fedoraproject.org/pub/epel/9/Everything/x86_64/"
    assert epel.gpgkey.startswith("https://")


def test_a_target_without_such_a_compiler_says_what_else_there_is() -> None:
    with pytest.raises(ForeignArchError) as refusal:
        toolchain("el9", "x86_64", "aarch64")
    assert str(refusal.value) == (
        '[builds] way = "cross": el9 has no cross compiler for x86_64 that runs on aarch64\n'
        "  why: elpack knows one on none\n"
        '  fix: way = "emulated", or a worker of that architecture under [builds.workers]'
    )


def test_the_stand_in_s_compiler_is_named_as_the_target_names_it(tmp_path: Path) -> None:
    folder = cross_folder(CHAIN, resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64"), tmp_path)
    assert folder.parent == tmp_path
    assert folder.name.startswith("el9-standin-cross-aarch64-x86_64-")
    text = resources.files("elpack.cross").joinpath("aarch64.toml").read_text()
    assert {rule.name for rule in parse_mapping(text).rules} == set(CHAIN.packages)


def _words_of(compiler: str, sysroot: Path, *words: str) -> list[str]:
    """Return what a wrapper calls its compiler with, where `sysroot` stands for the sysroot."""
    text = pretence.wrappers(CHAIN, ["usr/lib/gcc/aarch64-linux-gnu/12"], ["usr/include/c++/12"])[compiler]
    text = text.replace(pretence.SYSROOT, str(sysroot)).replace("exec /usr/bin/", "printf '%s\\n' ")
    done = subprocess.run(("sh", "-c", text, "sh", *words), check=True, capture_output=True, text=True)
    return [line.replace(str(sysroot), "/sysroot") for line in done.stdout.splitlines()]


def test_a_compiler_takes_from_the_sysroot_what_is_there(tmp_path: Path) -> None:
    for place in ("usr/include/python3.11", "opt/app/numpy include", "usr/lib", "builddir/build"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "usr/lib/libz.so").touch()
    given = (
        *("-I/usr/include/python3.11", "-I/opt/app/numpy include", "-isystem", "/usr/include/python3.11"),
        *("-L/usr/lib", "/usr/lib/libz.so", "-I/nowhere", "-I/builddir/own", "/builddir/build", "-DX='a b'"),
    )
    program, *words = _words_of("gcc", tmp_path, *given)
    assert program == "aarch64-linux-gnu-gcc"
    assert words == [
        *("--sysroot=/sysroot", "-ffile-prefix-map=/sysroot=", "-L/sysroot/usr/lib/gcc/aarch64-linux-gnu/12"),
        *("-I/sysroot/usr/include/python3.11", "-I/sysroot/opt/app/numpy include", "-isystem"),
        *("/sysroot/usr/include/python3.11", "-L/sysroot/usr/lib", "/sysroot/usr/lib/libz.so"),
        *("-I/nowhere", "-I/builddir/own", "/builddir/build", "-DX='a b'"),
    ]


@pytest.mark.parametrize(
    ("name", "program", "extra"),
    [
        ("c++", "aarch64-linux-gnu-g++", ["-nostdinc++", "-isystem", "/sysroot/usr/include/c++/12"]),
        ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc", []),
    ],
)
def test_every_name_of_a_compiler_leads_to_it(tmp_path: Path, name: str, program: str, extra: list[str]) -> None:
    first, *words = _words_of(name, tmp_path, "a.c")
    assert first == program
    assert words[2:-2] == extra
    assert words[-1] == "a.c"


def test_python_says_the_other_machine_s_name(tmp_path: Path) -> None:
    (tmp_path / "elpack-cross.pth").write_text(pretence.machine_name(CHAIN).replace("aarch64", "made-up"))
    code = f"import platform, site; site.addsitedir({str(tmp_path)!r}); print(platform.machine())"
    done = subprocess.run((sys.executable, "-Ic", code), check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "made-up"


def test_what_a_build_is_told() -> None:
    variables = pretence.environment(CHAIN, "/usr/bin")
    assert variables["PATH"] == "/usr/lib/elpack-cross/bin:/usr/bin"
    assert variables["_PYTHON_HOST_PLATFORM"] == "linux-aarch64"
    assert variables["PKG_CONFIG_LIBDIR"].startswith("/sysroot/usr/lib64/pkgconfig:")
    assert "CMAKE_SYSTEM_PROCESSOR aarch64" in pretence.cmake_toolchain(CHAIN)
    assert pretence.links(CHAIN)["strip"] == "/usr/bin/aarch64-linux-gnu-strip"


def test_rpm_strips_with_the_other_tools_and_skips_imports() -> None:
    macros = pretence.rpm_macros(CHAIN).splitlines()
    assert "%__strip /usr/bin/aarch64-linux-gnu-strip" in macros
    assert f"%elpack_check_import() echo '{pretence.NOT_RUN}' %{{*}}" in macros


def test_the_modules_that_nobody_imported_are_told() -> None:
    spec = "%check\n%elpack_check_import autobahn _nvx_utf8validator\n\n%elpack_check_hardening\n"
    assert judge.imports_left(spec) == ("autobahn", "_nvx_utf8validator")
    assert judge.imports_left("%check\n") == ()


@pytest.mark.parametrize(
    ("require", "word"),
    [
        ("python3.11-maturin = 1.9-1.el9s", "Rust"),
        ("python3.11-setuptools-rust = 1.12-1.el9s", "Rust"),
        ("cargo", "Rust"),
        ("(python3.11dist(maturin) >= 1 with python3.11dist(maturin) < 2)", "Rust"),
        ("python3.11-meson-python = 0.18-1", "Meson"),
    ],
)
def test_what_no_cross_compiler_serves_is_told_before_the_build(require: str, word: str) -> None:
    (problem,) = judge.obstacles("pkg", ("gcc", require))
    assert str(problem).startswith("pkg: it cannot be cross-compiled")
    assert word in problem.why
    assert 'way = "emulated"' in problem.fix


def test_other_requirements_are_no_obstacle() -> None:
    requires = ("gcc", "cmake", "python3.11-hatchling = 1", "crossbar-python3.11-trustme = 1", "python3.11-devel")
    assert list(judge.obstacles("pkg", requires)) == []


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("/bin/sh: ./gen: cannot execute binary file: Exec format error", "ran, or tried to run"),
        ("qemu-aarch64: Could not open '/lib/ld-linux-aarch64.so.1': No such file", "ran, or tried to run"),
        ("CMake Error: TRY_RUN() invoked in cross-compiling mode, please set", "ran, or tried to run"),
        ("as: unrecognized option '--64'", "this machine's own compiler"),
        ("gcc: error: unrecognized command-line option '-msse4.2'", "-msse4.2"),
    ],
)
def test_a_log_says_that_it_failed_for_being_a_cross_build(log: str, word: str) -> None:
    assert word in judge.reason(f"noise\n{log}\nnoise")


def test_other_failures_are_not_the_cross_build_s() -> None:
    assert judge.reason("error: 'x' undeclared\n") == ""


def test_machine_code_of_this_machine_is_refused() -> None:
    library = "ELF 64-bit LSB shared object, {}, version 1 (SYSV), dynamically linked, stripped"
    files = [
        ("/opt/a.cpython-311-aarch64-linux-gnu.so", library.format("ARM aarch64")),
        ("/opt/b.cpython-311-aarch64-linux-gnu.so", library.format("x86-64")),
        ("/opt/c.cpython-311-x86_64-linux-gnu.so", library.format("ARM aarch64")),
        ("/opt/d.py", "Python script, ASCII text executable"),
    ]
    wrong, named = judge.wrong_files("pkg", "aarch64", files)
    assert "b.cpython-311-aarch64-linux-gnu.so is not for aarch64: ELF 64-bit LSB shared object, x86-64" in wrong.what
    assert "c.cpython-311-x86_64-linux-gnu.so has the name of a module for x86_64" in named.what


def test_nothing_above_the_target_s_glibc() -> None:
    requires = ("libc.so.6(GLIBC_2.17)(64bit)", "libc.so.6(GLIBC_2.34)(64bit)", "libm.so.6(GLIBC_2.38)(64bit)")
    (problem,) = judge.too_new("pkg", (2, 34), requires)
    assert problem.what == "it requires libm.so.6(GLIBC_2.38)(64bit)"

"""The cross builder without a root: what it refuses, what it is keyed by, and how it reads a sysroot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.cross import CrossBuilder
from elpack.builders.inside import Inside
from elpack.builders.limits import Mechanism
from elpack.builders.sysroot import Sysroot, interpreters, settings
from elpack.cross.toolchain import toolchain
from elpack.errors import BuildError, ForeignArchError
from elpack.run import Command, Completed
from elpack.targets import TargetChoice, resolve_target
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from pathlib import Path

CHOICE = TargetChoice("el9-standin", "3.11", ("x86_64", "aarch64"))


def nothing(command: Command) -> Completed:
    raise AssertionError(command)


@pytest.fixture
def builder(tmp_path: Path) -> CrossBuilder:
    def repository(name: str) -> tuple[Repository, ...]:
        (tmp_path / name / "repodata").mkdir(parents=True)
        (tmp_path / name / "repodata" / "repomd.xml").write_text(name)
        return (Repository(name, str(tmp_path / name)),)

    return CrossBuilder(
        resolve_target(CHOICE, "aarch64"),
        resolve_target(CHOICE, "x86_64"),
        repository("there"),
        repository("here"),
        repository("compilers"),
        toolchain("el9-standin", "aarch64", "x86_64"),
        tmp_path / "work",
        nothing,
        mechanism=Mechanism(),
    )


def test_what_cannot_be_cross_compiled_is_refused_before_anything_runs(builder: CrossBuilder, tmp_path: Path) -> None:
    job = BuildJob("bcrypt-5", tmp_path / "bcrypt.spec", (), ("python3.11-setuptools-rust = 1",), tmp_path / "log")
    with pytest.raises(ForeignArchError) as refusal:
        builder.build((job,), tmp_path / "out")
    assert "bcrypt-5: it cannot be cross-compiled\n  why: it asks for setuptools-rust: Rust" in str(refusal.value)


@pytest.mark.parametrize("name", ["there", "here", "compilers"])
def test_every_repository_is_in_the_digest(builder: CrossBuilder, tmp_path: Path, name: str) -> None:
    before = builder.digest()
    assert replace(builder, extra=(Repository("x", "/nowhere"),)).digest() == before, (
        "the plan's packages are told apart"
    )
    (tmp_path / name / "repodata" / "repomd.xml").write_text("changed")
    assert builder.digest() != before


def test_the_compiler_is_in_the_digest(builder: CrossBuilder) -> None:
    other = replace(builder, toolchain=replace(builder.toolchain, triplet="aarch64-redhat-linux"))
    assert other.digest() != builder.digest()


def test_a_sysroot_s_links_lead_where_they_lead_in_the_root(tmp_path: Path) -> None:
    library = tmp_path / "usr/lib/aarch64-linux-gnu"
    library.mkdir(parents=True)
    (library / "libm.so").symlink_to("/usr/lib/aarch64-linux-gnu/libm.so.6")
    (library / "libc.so").symlink_to("libc.so.6")
    sysroot = Sysroot(
        tmp_path, Dnf((), "aarch64", "9", tmp_path, runner=nothing), tmp_path / "log", "pkg", tmp_path / "files"
    )
    sysroot.add(())
    assert str((library / "libm.so").readlink()) == "libm.so.6"
    assert str((library / "libc.so").readlink()) == "libc.so.6"


def test_no_link_leads_out_of_a_sysroot(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "usr/lib/python3.11").mkdir(parents=True)
    outside.mkdir()
    (outside / "link").symlink_to("/etc")
    (root / "usr/lib64").symlink_to(outside)
    (root / "usr/lib/python3.11/_sysconfigdata__x.py").symlink_to("/etc/passwd")
    sysroot = Sysroot(
        root, Dnf((), "aarch64", "9", tmp_path, runner=nothing), tmp_path / "log", "pkg", tmp_path / "files"
    )
    sysroot.add(())
    assert str((outside / "link").readlink()) == "/etc"
    with pytest.raises(BuildError, match=r"has no python3\.11"):
        settings(root, "python3.11")


def test_where_a_sysroot_has_what_a_compiler_needs(tmp_path: Path) -> None:
    files = (
        *("usr/lib/gcc/aarch64-redhat-linux/11/libgcc.a", "usr/include/c++/11/vector"),
        *("usr/include/c++/11/aarch64-redhat-linux/bits/os_defines.h", "usr/lib64/python3.12/_sysconfigdata__x.py"),
    )
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sysroot = Sysroot(
        tmp_path, Dnf((), "aarch64", "9", tmp_path, runner=nothing), tmp_path / "log", "pkg", tmp_path / "files"
    )
    assert sysroot.libraries() == ["usr/lib/gcc/aarch64-redhat-linux/11"]
    assert sysroot.cxx_headers() == [
        *("usr/include/c++/11", "usr/include/c++/11/aarch64-redhat-linux", "usr/include/c++/11/backward"),
    ]
    assert [str(path) for path in interpreters(tmp_path)] == ["usr/lib64/python3.12"]
    assert settings(tmp_path, "python3.12").name == "_sysconfigdata__x.py"
    with pytest.raises(BuildError, match=r"has no python3\.11\n.*BuildRequires: python3\.11-devel"):
        settings(tmp_path, "python3.11")


def test_nothing_runs_when_a_sysroot_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Command] = []

    def record(command: Command) -> Completed:
        ran.append(command)
        return Completed(command, 0, "", "", 0.0)

    monkeypatch.setattr("os.geteuid", lambda: 0)
    dnf = Dnf((), "aarch64", "9", tmp_path / "dnf", BuildError, record, scriptlets=False)
    dnf.install(tmp_path / "root", ("gcc",), tmp_path / "log")
    assert "--setopt=tsflags=nodocs,noscripts" in ran[0].argv


def test_what_lies_beside_a_root(tmp_path: Path) -> None:
    inside = Inside({"/sysroot": tmp_path}, {"PATH": "/x"})
    assert inside.words() == ("--ro-bind", str(tmp_path), "/sysroot", "--setenv", "PATH", "/x")

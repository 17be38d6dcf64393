"""Every rule that wheels and sdists are judged by, on small ones made here; machine code is linked by gcc."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_archives_wheel import INFO, METADATA, make_wheel

from elpack.archives.wheel_content import read_wheel_content
from elpack.model import CoreMetadata, SdistFacts, Sha256
from elpack.wheels.elf import Elf, Need, read_elf
from elpack.wheels.judge import judge_wheel
from elpack.wheels.judge_sdist import judge_sdist
from elpack.wheels.judgement import NOT_BINARY, Abi3, Audit, SdistContent, Severity, Verdict, Verdicts, ZipMember
from elpack.wheels.platforms import canonical, platform_of
from elpack.wheels.sdist_files import Difference, Lack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.wheels.judgement import Judgement, WheelContent

TAG = "cp311-cp311-manylinux_2_17_x86_64"
SO = "demo/_x.cpython-311-x86_64-linux-gnu.so"


def elf(*needs: Need, machine: str = "x86_64", **more: object) -> Elf:
    return replace(Elf(machine, "library", needs=needs), **more)  # type: ignore[arg-type]


def arm() -> bytes:
    """Return the header of an ELF file for 64-bit ARM, and nothing behind it."""
    head = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    return head + struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)


def content(tmp_path: Path, tag: str = TAG, code: dict[str, bytes] | None = None, said: str = "") -> WheelContent:
    """Return a wheel read from a file; `said` is the tag in its WHEEL file, if it is another one."""
    wheel = f"Wheel-Version: 1.0\nRoot-Is-Purelib: {'true' if tag.endswith('any') else 'false'}\nTag: {said or tag}\n"
    files = {"demo/__init__.py": b"x = 1\n", **(code or {}), f"{INFO}/METADATA": METADATA}
    return read_wheel_content(
        make_wheel(tmp_path, {**files, f"{INFO}/WHEEL": wheel.encode()}, name=f"demo-1.0-{tag}.whl")
    )


@pytest.fixture
def sound(tmp_path: Path) -> WheelContent:
    """A wheel with which nothing is wrong; its code is made up."""
    return replace(content(tmp_path), code={SO: elf(Need("libc.so.6", "GLIBC_2.14", ("memcpy",)))}, members=())


def found(wheel: WheelContent, verdicts: Verdicts | None = None, *, own: bool = True) -> dict[str, list[str]]:
    """Return what each rule found, errors only."""
    judged = judge_wheel(wheel, verdicts or Verdicts(), own=own)
    texts: dict[str, list[str]] = {}
    for one in judged.findings:
        if one.severity is Severity.ERROR:
            texts.setdefault(one.rule, []).append(str(one.problem))
    return texts


@pytest.fixture
def link(tmp_path: Path, needs: Callable[..., None]) -> Callable[..., bytes]:
    """Return a function that gives the bytes of a shared object."""
    needs("gcc")

    def do(source: str, *flags: str) -> bytes:
        (tmp_path / "code.c").write_text(source + "\n")
        out = tmp_path / "code.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(out), str(tmp_path / "code.c"), *flags], check=True)
        return out.read_bytes()

    return do


def test_nothing_is_wrong_with_a_sound_one(sound: WheelContent) -> None:
    assert found(sound) == {}
    judged = judge_wheel(sound, Verdicts(), own=True)
    assert (judged.verdict, judged.binary) == (Verdict.PASSED, "judged")
    assert judged.deserved == "cp311-cp311-manylinux_2_14_x86_64"


def test_a_pure_one_is_skipped_in_these_words(tmp_path: Path) -> None:
    judged = judge_wheel(content(tmp_path, "py3-none-any"), Verdicts(twine=()), own=False)
    assert judged.binary == NOT_BINARY == "skipped because not binary"
    assert judged.checks["twine"] == "passed"
    assert judged.deserved == "py3-none-any"


def test_code_of_another_processor(tmp_path: Path) -> None:
    wheel = content(tmp_path, code={"demo/_x.so": arm()})
    (text,) = found(wheel, own=False)["machine"]
    assert "demo/_x.so is compiled for 64-bit ARM (aarch64), the file name says x86-64 (x86_64)" in text
    assert judge_wheel(wheel, Verdicts(), own=False).deserved.endswith("_aarch64")


def test_auditwheel_does_not_say_the_same_again(tmp_path: Path) -> None:
    wheel = content(tmp_path, code={"demo/_x.so": arm()})
    assert "auditwheel" not in found(wheel, Verdicts(audit=Audit(error="no x86_64 found")))


def test_machine_code_in_a_wheel_for_everybody(tmp_path: Path) -> None:
    assert (
        "runs anywhere, and holds machine code"
        in found(content(tmp_path, "py3-none-any", {"demo/x.so": arm()}))["code-in-pure"][0]
    )


def test_machine_code_that_would_be_shared(sound: WheelContent) -> None:
    wheel = replace(sound, facts=replace(sound.facts, root_is_purelib=True))
    assert "Root-Is-Purelib: true" in found(wheel)["code-in-pure"][0]


def test_one_that_compiles_nothing_and_calls_itself_binary(tmp_path: Path) -> None:
    wheel = content(tmp_path)
    assert "it compiles nothing and calls itself binary" in found(wheel, own=False)["nothing-compiled"][0]
    assert judge_wheel(wheel, Verdicts(), own=False).deserved == "py3-none-any"


def test_a_compiler_s_unlinked_output_is_no_code(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("gcc")
    (tmp_path / "a.c").write_text("int a;\n")
    subprocess.run(["gcc", "-c", "-o", str(tmp_path / "a.o"), str(tmp_path / "a.c")], check=True)
    wheel = content(tmp_path, code={"demo/a.o": (tmp_path / "a.o").read_bytes()})
    assert "nothing-compiled" in found(wheel)


def test_tags_that_were_renamed_by_hand(tmp_path: Path) -> None:
    wheel = content(tmp_path, "py3-none-any", said="cp39-abi3-manylinux_2_34_x86_64")
    assert "other tags than its name: cp39-abi3-manylinux_2_34_x86_64" in found(wheel)["tags"][0]


def test_tags_that_would_be_more_than_there_is_memory(tmp_path: Path) -> None:
    many = ".".join(f"a{number}" for number in range(9000))
    assert "other tags than its name" in found(content(tmp_path, said=f"{many}-{many}-{many}"))["tags"][0]


def test_tags_may_be_written_as_in_a_name(tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
    assert "tags" not in found(content(tmp_path, tag, said=tag))


@pytest.mark.parametrize(
    ("tag", "name", "said"),
    [
        (TAG, "_x.cpython-312-x86_64-linux-gnu.so", "for CPython 312 alone; the wheel is for cp311"),
        ("cp39-abi3-manylinux_2_17_x86_64", "_x.cpython-39-x86_64-linux-gnu.so", "with the stable ABI (abi3)"),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", "_x.abi3.so", "for CPython's stable ABI"),
        (TAG, "_x.pypy311-pp73-x86_64-linux-gnu.so", "for PyPy 311 alone"),
        (TAG, "_x.cpython-311-aarch64-linux-gnu.so", "named after aarch64; the wheel is for x86_64"),
        (TAG, "_x.cpython-311-x86_64-linux-musl.so", "for musl"),
        (TAG, "_x.cpython-311-x86_64-linux-gnu.so", ""),
        (TAG, "_x.abi3.so", ""),
        (TAG, "_x.so", ""),
        ("cp39-abi3-manylinux_2_17_x86_64", "_x.abi3.so", ""),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", "_x.pypy311-pp73-x86_64-linux-gnu.so", ""),
        ("cp313-cp313t-manylinux_2_17_x86_64", "_x.cpython-313t-x86_64-linux-gnu.so", ""),
    ],
)
def test_extension_modules_that_nobody_imports(tmp_path: Path, tag: str, name: str, said: str) -> None:
    wheel = replace(content(tmp_path, tag), code={f"demo/{name}": elf()})
    texts = found(wheel, own=False).get("extension", [])
    assert bool(texts) == bool(said)
    assert said in "".join(texts)


def test_symbols_that_the_tag_does_not_have(sound: WheelContent) -> None:
    needs = (Need("libc.so.6", "GLIBC_2.34", ("dlsym",)), Need("libc.so.6", "GLIBC_2.38", ("strtol", "sscanf")))
    wheel = replace(sound, code={SO: elf(*needs, Need("libc.so.6", "GLIBC_2.2.5"))})
    (text,) = found(wheel)["symbols"]
    assert f"{SO} needs GLIBC_2.38 (strtol, sscanf) of libc.so.6, which manylinux_2_17 (EL 7) does not have" in text
    assert "and GLIBC_2.34 as well; it would be manylinux_2_38" in text
    assert "compile it against an older library" in text


def test_the_oldest_of_several_tags_is_the_promise(tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64"
    wheel = replace(content(tmp_path, tag), code={SO: elf(Need("libc.so.6", "GLIBC_2.28"))})
    assert "manylinux2014 (EL 7) does not have" in found(wheel)["symbols"][0]


def test_versions_of_other_libraries_are_those_of_auditwheel_s_policies(sound: WheelContent) -> None:
    wheel = replace(sound, code={SO: elf(Need("libstdc++.so.6", "GLIBCXX_3.4.29"))})
    policies = {"manylinux_2_17_x86_64": {"GLIBCXX": frozenset({"3.4.19"})}}
    assert "GLIBCXX_3.4.29 of libstdc++.so.6" in found(wheel, Verdicts(policies=policies))["symbols"][0]
    assert "symbols" not in found(wheel)


@pytest.mark.parametrize("version", ["GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR"])
def test_marks_of_glibc_that_are_no_versions(sound: WheelContent, version: str) -> None:
    assert version in found(replace(sound, code={SO: elf(Need("libc.so.6", version))}))["symbols"][0]


def test_glibc_where_musl_is_promised(tmp_path: Path) -> None:
    wheel = replace(
        content(tmp_path, "cp311-cp311-musllinux_1_2_x86_64"), code={"demo/_x.so": elf(Need("libc.so.6", "GLIBC_2.5"))}
    )
    assert "of glibc, and musllinux_1_2 has musl" in found(wheel)["symbols"][0]


def test_auditwheel_has_the_last_word(sound: WheelContent) -> None:
    audit = Audit(overall="manylinux_2_28_x86_64", symbols="manylinux_2_28_x86_64")
    assert "its symbols deserve manylinux_2_28_x86_64" in found(sound, Verdicts(audit=audit))["symbols"][0]
    assert judge_wheel(sound, Verdicts(audit=audit), own=True).deserved == "cp311-cp311-manylinux_2_28_x86_64"


def test_libraries_from_outside_and_newer_processors(sound: WheelContent) -> None:
    tag = "manylinux_2_17_x86_64"
    audit = Audit(
        overall="linux_x86_64",
        eliminate={tag: ("libssl.so.3",)},
        forbidden={tag: ("gzflags of libz.so.1",)},
        unsupported_isa=True,
    )
    texts = "\n".join(found(sound, Verdicts(audit=audit))["auditwheel"])
    assert "it needs libssl.so.3, which manylinux_2_17 (EL 7) does not promise to have" in texts
    assert "gzflags of libz.so.1" in texts
    assert "newer processor" in texts


def test_what_auditwheel_cannot_judge(sound: WheelContent) -> None:
    assert (
        "auditwheel cannot judge it: whatever" in found(sound, Verdicts(audit=Audit(error="whatever")))["auditwheel"][0]
    )


def test_a_tag_that_promises_nothing(tmp_path: Path) -> None:
    wheel = replace(content(tmp_path, "cp311-cp311-linux_x86_64"), code={SO: elf()})
    assert (
        "it would be manylinux_2_5_x86_64"
        in found(wheel, Verdicts(audit=Audit(overall="manylinux_2_5_x86_64")))["portable-tag"][0]
    )


def test_twine_s_complaints(sound: WheelContent) -> None:
    assert "twine check --strict: no description" in found(sound, Verdicts(twine=("no description",)))["twine"][0]


@pytest.mark.parametrize(
    ("abi3", "said"),
    [
        (Abi3("x.abi3.so", True, "3.9", "3.11", later=("PyA",)), "PyA, which Python 3.9 does not have: it needs 3.11"),
        (Abi3("x.abi3.so", False, "3.9", "3.9", outside=("_PyB",)), "_PyB, which the stable ABI does not have"),
        (Abi3("x.abi3.so", False, "", ""), "no extension module of the stable ABI"),
        (Abi3("x.abi3.so", True, "3.9", "3.9"), ""),
    ],
)
def test_the_stable_abi(sound: WheelContent, abi3: Abi3, said: str) -> None:
    texts = found(sound, Verdicts(abi3=(abi3,))).get("abi3", [])
    assert bool(texts) == bool(said)
    assert said in "".join(texts)


def test_libraries_that_were_copied_in_are_listed(sound: WheelContent) -> None:
    grafted = {**sound.code, "demo.libs/libssl-12ab34cd.so.3": elf()}
    assert "demo.libs/libssl-12ab34cd.so.3" in found(replace(sound, code=grafted))["sbom"][0]
    assert "sbom" not in found(replace(sound, code=grafted, sboms=(f"{INFO}/sboms/auditwheel.cdx.json",)))
    assert "sbom" not in found(replace(sound, code=grafted), own=False), "others' are told of it only"


def test_an_sbom_that_is_none(tmp_path: Path) -> None:
    wheel = content(tmp_path, "py3-none-any", {f"{INFO}/sboms/x.cdx.json": b"{]"})
    assert wheel.sboms == wheel.unread == (f"{INFO}/sboms/x.cdx.json",)
    assert "is no CycloneDX document" in found(wheel)["sbom"][0]


def test_folders_of_the_machine_that_built_it(sound: WheelContent) -> None:
    wheel = replace(sound, code={SO: elf(search_paths=("$ORIGIN/../demo.libs", "/home/me/lib"))})
    assert "looks for libraries in /home/me/lib" in found(wheel)["search-path"][0]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ((ZipMember("a", 1, 0o644), ZipMember("b", 2, 0o644)), "different times"),
        ((ZipMember("b", 1, 0o644), ZipMember("a", 1, 0o644)), "in no order: b"),
        ((ZipMember("a", 1, 0o666),), "modes 0666"),
        ((ZipMember("z/a", 1, 0o644), ZipMember(f"{INFO}/RECORD", 1, 0o644)), ""),
        ((ZipMember(f"{INFO}/RECORD", 1, 0o644), ZipMember("z/a", 1, 0o755)), ""),
    ],
)
def test_what_differs_from_build_to_build(sound: WheelContent, members: tuple[ZipMember, ...], said: str) -> None:
    texts = found(replace(sound, members=members)).get("reproducible", [])
    assert bool(texts) == bool(said)
    assert said in "".join(texts)


def test_machine_code_tells_what_it_needs(link: Callable[..., bytes]) -> None:
    code = link("#include <math.h>\ndouble f(double x) { return exp(x); }", "-lm", "-Wl,-rpath,/opt/x:$ORIGIN")
    read = read_elf(code, "x86_64")
    assert read is not None
    assert {"libm.so.6", "libc.so.6"} & set(read.needed)
    (need,) = (one for one in read.needs if one.library == "libm.so.6")
    assert need.version.startswith("GLIBC_2.")
    assert need.symbols == ("exp",)
    assert read.search_paths == ("/opt/x", "$ORIGIN")
    assert read_elf(b"#!/bin/sh\n", "") is None


def test_damaged_machine_code_is_told(tmp_path: Path, link: Callable[..., bytes]) -> None:
    code = link("int f(void) { return 0; }")
    wheel = content(tmp_path, code={"demo/a.so": code[:200], "demo/b.so": b"\x7fELF\xff" + bytes(60)})
    texts = "\n".join(found(wheel)["broken-code"])
    assert "demo/b.so cannot be read" in texts
    assert "demo/a.so" in texts


def test_code_without_a_table_of_its_symbols(sound: WheelContent) -> None:
    assert "has no table of its symbols" in found(replace(sound, code={SO: elf(readable=False)}))["broken-code"][0]


@pytest.mark.parametrize(
    ("tag", "shown", "same"),
    [
        ("manylinux2014_x86_64", "manylinux2014 (EL 7)", "manylinux_2_17_x86_64"),
        ("manylinux_2_34_aarch64", "manylinux_2_34 (EL 9)", "manylinux_2_34_aarch64"),
        ("manylinux_2_38_x86_64", "manylinux_2_38", "manylinux_2_38_x86_64"),
        ("musllinux_1_2_aarch64", "musllinux_1_2", "musllinux_1_2_aarch64"),
        ("linux_x86_64", "linux", "linux_x86_64"),
        ("win_amd64", "win_amd64", "win_amd64"),
    ],
)
def test_platform_tags(tag: str, shown: str, same: str) -> None:
    assert (str(platform_of(tag)), canonical(tag)) == (shown, same)


def sdist(native: str = "", *wheels: WheelContent, licences: tuple[str, ...] = ("LICENSE",)) -> SdistContent:
    facts = SdistFacts(
        filename="demo-1.0.tar.gz",
        sha256=Sha256("0" * 64),
        folder="demo-1.0",
        metadata=CoreMetadata("demo", "1.0"),
        build_requires=(),
        backend="hatchling.build",
        backend_path=(),
        scripts=(),
        native=native,
        modules=("demo",),
        licence_files=licences,
        readme_files=(),
        has_uv_lock=False,
    )
    return SdistContent(facts, wheels=wheels)


def texts_of(judged: Judgement) -> str:
    return "\n".join(str(problem) for problem in judged.problems)


def test_an_sdist_that_calls_itself_binary(tmp_path: Path, sound: WheelContent) -> None:
    pure = content(tmp_path, "py3-none-any")
    judged = judge_sdist(sdist("It compiles CFFI modules.", pure), Verdicts(), own=False)
    assert (
        "calls itself binary (It compiles CFFI modules.), and the wheels made of it hold no machine code"
        in texts_of(judged)
    )
    assert not judge_sdist(sdist("It compiles CFFI modules.", pure, sound), Verdicts(), own=False).problems
    assert not judge_sdist(sdist("", pure), Verdicts(), own=False).problems
    assert judge_sdist(sdist(), Verdicts(), own=False).binary == NOT_BINARY


def test_an_sdist_s_licence_times_and_files() -> None:
    lacking = replace(
        sdist(licences=()), times=frozenset({1, 2}), checkout=(Difference(Lack.NEEDED, ("src/demo/a.py",), "why"),)
    )
    judged = judge_sdist(lacking, Verdicts(twine=("bad markup",)), own=True)
    said = texts_of(judged)
    for text in ("no text of its licence", "different times", "bad markup", "src/demo/a.py"):
        assert text in said
    assert judged.checks == {"twine": "failed", "complete": "failed"}
    assert judged.as_json()["verdict"] == "refused"

"""For which machine a wheel's code is, read from its first bytes, and the rule that holds it to the wheel's name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from tests.unit.plans import LIB, Case, Dist
from tests.unit.test_archives_wheel import DIGEST, RIGHT, make_wheel

from elpack.archives import read_wheel
from elpack.archives.elf import machine_of
from elpack.checks.machine_rules import wrong_machine
from elpack.model import MachineCode, RemoteFile, WheelFacts
from elpack.plan.make import make_plan
from elpack.steps.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NATIVE = replace(LIB, wheel="cp312-cp312-manylinux_2_28_x86_64")


def elf(machine: int, bits: int = 2, order: Literal["little", "big"] = "little", kind: int = 3) -> bytes:
    """Return the head of a linked ELF file; bits: 1 for 32, 2 for 64."""
    head = bytes([bits, 1 if order == "little" else 2, 1]) + bytes(9)
    return b"\x7fELF" + head + kind.to_bytes(2, order) + machine.to_bytes(2, order)


@pytest.mark.parametrize(
    ("head", "machine"),
    [
        (elf(62), "x86_64"),
        (elf(62, 1), "x32"),
        (elf(183, kind=2), "aarch64"),
        (elf(21, 2, "big"), "ppc64"),
        (elf(4711), "ELF machine 4711 of class 2, little endian"),
        (elf(62, kind=1), ""),
        (elf(62)[:19], ""),
        (b"\x7fELF\2\7" + elf(62)[6:], ""),
        (b"#!/usr/bin/env python", ""),
    ],
)
def test_first_bytes_name_the_machine(head: bytes, machine: str) -> None:
    assert machine_of(head) == machine


def test_a_wheel_s_linked_files_are_found_whatever_their_names_and_kept_in_the_cache(tmp_path: Path) -> None:
    files = {"demo/_x.so": elf(62), "demo/data": elf(183), "demo/short.so": b"\x7fELF", "demo/text.py": elf(62)}
    path = make_wheel(tmp_path, RIGHT | files)
    expected = (MachineCode("demo/_x.so", "x86_64"), MachineCode("demo/data", "aarch64"))
    assert read_wheel(path, DIGEST).code == expected
    assert read_wheel(path, DIGEST, verify_contents=False).code == expected
    file = RemoteFile(path.name, "", DIGEST)
    for _ in range(2):
        facts = read_facts([file], {DIGEST: path}, tmp_path / "facts")[DIGEST]
        assert isinstance(facts, WheelFacts)
        assert facts.code == expected


def found(lib: Dist, code: Mapping[str, str]) -> list[str]:
    inputs = Case().instead(lib).inputs()
    facts = inputs.facts[lib.sha256]
    assert isinstance(facts, WheelFacts)
    read = replace(facts, code=tuple(MachineCode(*one) for one in code.items()))
    inputs = replace(inputs, facts={**inputs.facts, lib.sha256: read})
    return [str(problem) for problem in wrong_machine(make_plan(inputs), inputs)]


def test_a_wheel_without_any_code_of_its_machine_is_refused() -> None:
    assert found(NATIVE, {f"lib/{name}.so": "aarch64" for name in "abcd"}) == [
        (
            "lib 0.9: lib-0.9-cp312-cp312-manylinux_2_28_x86_64.whl: its name says x86_64, and it holds machine code "
            "for aarch64: lib/a.so, lib/b.so, lib/c.so and 1 more\n"
            "  why: the wheel was built on another machine than its name says, or renamed\n"
            '  fix: lib = "sdist" under [policy] in elpack.toml, or lock a version whose wheel is right'
        )
    ]


@pytest.mark.parametrize(
    "path",
    [
        "lib/_x.cpython-312-aarch64-linux-gnu.so",
        "lib/_x.abi3.so",
        "lib/_x.pypy311-pp73-aarch64-linux-gnu.so",
        "lib.libs/libx-1.so.2",
    ],
)
def test_what_python_would_load_must_be_of_the_machine(path: str) -> None:
    (problem,) = found(NATIVE, {"lib/_own.abi3.so": "x86_64", path: "aarch64"})
    assert f"machine code for aarch64: {path}\n" in problem


def test_a_tool_s_code_for_other_machines_and_wheels_that_promise_nothing_pass() -> None:
    assert found(NATIVE, {"lib/_own.abi3.so": "x86_64", "lib/attach_linux_x86.so": "i686"}) == []
    assert found(NATIVE, {}) == []
    assert found(LIB, {"lib/x.so": "aarch64"}) == []

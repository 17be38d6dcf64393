"""What the real release compiles: hardened as the target asks, and its debug packages are those of its very files."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import OUTPUT, Run, ask, rpms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.integration]

COMPILED = {"autobahn": 2, "zlmdb": 4, "bjdata": 1, "py-ubjson": 1}
PACKAGE = "crossbar-python3.11-{}"


def rpm(folder: str, name: str) -> Path:
    (path,) = (
        path for path in rpms(OUTPUT / folder) if re.fullmatch(rf"{re.escape(name)}-[0-9][^-]*-[^-]*\.rpm", path.name)
    )
    return path


@pytest.fixture(scope="module")
def machine_code(
    needs: Callable[..., None], rpm_all: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Path]]:
    """Unpack the compiled packages; return the machine code that is loaded or run.

    autobahn's build hook leaves object files in its wheel, which nothing ever links.
    """
    needs("readelf", "rpm")
    found = {}
    for dist in COMPILED:
        folder = tmp_path_factory.mktemp(dist)
        command = ("rpm", "--root", folder, "--dbpath", "/db", "-i", "--nodeps", "--noscripts", "--nosignature")
        subprocess.run([*command, rpm("repo", PACKAGE.format(dist))], check=True, capture_output=True)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".o")
        found[dist] = [path for path in files if path.read_bytes().startswith(b"\x7fELF")]
    return found


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, path], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("dist", COMPILED)
def test_it_is_hardened(dist: str, machine_code: dict[str, list[Path]]) -> None:
    assert len(machine_code[dist]) == COMPILED[dist]
    for path in machine_code[dist]:
        segments, dynamic = readelf(path, "-l"), readelf(path, "-d")
        assert "GNU_RELRO" in segments, path
        assert re.search(r"\bBIND_NOW\b|Flags: NOW", dynamic), path
        (stack,) = re.findall(r"GNU_STACK.*", segments)
        assert "E" not in stack.split()[-2], path
        assert "RPATH" not in dynamic, path
        assert "RUNPATH" not in dynamic, path
        assert "TEXTREL" not in dynamic, path
        assert "Elf file type is DYN" in segments, path


def test_flatc_is_position_independent(machine_code: dict[str, list[Path]]) -> None:
    (flatc,) = (path for path in machine_code["zlmdb"] if path.name == "flatc")
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf(flatc, "-d"))


@pytest.mark.parametrize("dist", COMPILED)
def test_its_symbols_are_in_the_debug_package(dist: str, machine_code: dict[str, list[Path]]) -> None:
    name = PACKAGE.format(dist)
    files = set(ask("[%{FILENAMES}\\n]", [rpm("debug", f"{name}-debuginfo")]))
    numbers = [match[1] for path in machine_code[dist] if (match := re.search(r"Build ID: (\w+)", readelf(path, "-n")))]
    assert len(set(numbers)) == COMPILED[dist]
    assert {f"/usr/lib/debug/.build-id/{number[:2]}/{number[2:]}.debug" for number in numbers} <= files
    assert not [path for path in machine_code[dist] if ".debug_info" in readelf(path, "-S")]
    sources = ask("[%{FILENAMES}\\n]", [rpm("debug", f"{name}-debugsource")])
    assert [path for path in sources if path.endswith((".c", ".cpp", ".h"))] != []

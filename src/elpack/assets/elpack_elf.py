"""Runs inside a build root: looks at the machine code that was compiled there, with readelf of binutils.

Called by macros.elpack with the target's own Python; needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ELF = b"\x7fELF"
RELOCATABLE = b"\x01\x00"
DEBUG = Path("usr", "lib", "debug")
STACK = re.compile(r"^ +GNU_STACK(?: +0x[0-9a-f]+){5} +([RWE ]*?) +0x", re.MULTILINE)
NOW = re.compile(r"\((?:FLAGS\).*\bBIND_NOW\b|FLAGS_1\).*\bNOW\b|BIND_NOW\))")
SEARCH_PATH = re.compile(r"\((RPATH|RUNPATH)\) .*\[(.*)\]")
MODULE = re.compile(r"^ *\d+: (?:\S+ +){5}(?!UND)\S+ (PyInit_\S+)", re.MULTILINE)


def main() -> None:
    """Parse the command line and do what it says; a problem ends the build with a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, function in (("hardening", hardening), ("cffi", cffi)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--root", required=True)
        command.add_argument("--prefix", required=True)
        if name == "hardening":
            command.add_argument("-x", "--except", dest="exceptions", action="append", default=[])
    options = parser.parse_args()
    options.function(options)


@dataclass(frozen=True)
class Code:
    """One linked file: its path below the prefix, and what readelf says of it."""

    inside: str
    path: Path
    text: str

    def weaknesses(self) -> list[str]:
        """Return what its linker left out of the hardening that EL asks for."""
        found = []
        relro, now = "GNU_RELRO" in self.text, NOW.search(self.text)
        if not relro or not now:
            missing = " and ".join(name for name, there in (("GNU_RELRO", relro), ("BIND_NOW", now)) if not there)
            found.append(f"no full RELRO ({missing} missing)")
        stack = STACK.search(self.text)
        if stack is None or "E" in stack[1]:
            found.append("an executable stack (GNU_STACK)")
        if re.search(r"^ +Type: +EXEC\b", self.text, re.MULTILINE):
            found.append("no position-independent executable (PIE)")
        found += [f"{kind} {path}" for kind, path in SEARCH_PATH.findall(self.text)]
        return found

    def modules(self) -> list[str]:
        """Return the functions by which Python would import it as an extension module."""
        return MODULE.findall(self.text)

    def is_cffi(self) -> bool:
        """Tell whether it refers to CFFI's runtime, as all does that CFFI generates."""
        return b"_cffi_backend" in self.path.read_bytes()


def hardening(options: argparse.Namespace) -> None:
    """Refuse machine code that was not linked as the target's flags ask, unless an override names it."""
    weak = {code.inside: code.weaknesses() for code in compiled(Path(options.root), options.prefix)}
    weak = {inside: found for inside, found in weak.items() if found}
    useless = [one for one in options.exceptions if not any(fnmatch.fnmatchcase(inside, one) for inside in weak)]
    if useless:
        names = ", ".join(useless)
        sys.exit(f"elpack: [[not-hardened]] names what is hardened or is not there: remove the entry of {names}")
    bad = {
        inside: found
        for inside, found in weak.items()
        if not any(fnmatch.fnmatchcase(inside, one) for one in options.exceptions)
    }
    if bad:
        lines = [f"  {inside}: {', '.join(found)}" for inside, found in bad.items()]
        sys.exit(
            "elpack: machine code is not hardened as the target's flags ask:\n" + "\n".join(lines) + "\n"
            "Its build must take CFLAGS, CXXFLAGS and LDFLAGS from the environment, and set no RPATH. Where it "
            "cannot, name the path under [[not-hardened]] with the reason."
        )


def cffi(options: argparse.Namespace) -> None:
    """Refuse extension modules through CPython's own API."""
    bad = [
        f"  {code.inside}: {', '.join(names)}"
        for code in compiled(Path(options.root), options.prefix)
        if (names := code.modules()) and not code.is_cffi()
    ]
    if bad:
        sys.exit(
            "elpack: extension modules that are not CFFI's, where the release promises cffi-only:\n"
            + "\n".join(bad)
            + "\nBind the code through CFFI, or take the promise out of [promises]."
        )


def compiled(root: Path, prefix: str) -> list[Code]:
    """Return what is linked machine code below the prefix, sorted; files of the debug packages are none of it."""
    top, found = root / prefix.lstrip("/"), []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if Path(folder, name) != root / DEBUG)
        found += [path for path in (Path(folder, name) for name in files) if is_linked(path)]
    return [Code(str(path.relative_to(top)), path, readelf(path)) for path in sorted(found)]


def is_linked(path: Path) -> bool:
    """Tell whether a file is an executable or a shared object: ELF, and not a compiler's unlinked output."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(18)
    return head.startswith(ELF) and head[16:18] not in (RELOCATABLE, RELOCATABLE[::-1])


def readelf(path: Path) -> str:
    """Return the headers, dynamic section and dynamic symbols of a file."""
    command = ["readelf", "-W", "-h", "-l", "-d", "--dyn-syms", str(path)]
    done = subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"elpack: readelf cannot read {path}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()

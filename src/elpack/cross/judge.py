"""What cannot be cross-compiled, told before a build by what it asks for, and after it by what it said and made."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from elpack.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLASSES = {"aarch64": "ARM aarch64", "x86_64": "x86-64"}
"""How file(1), and so rpm, tells the machine of an ELF file."""

_BACKENDS = {
    "maturin": "Rust, whose compiler and crates for the other architecture are not at hand",
    "setuptools-rust": "Rust, whose compiler and crates for the other architecture are not at hand",
    "meson-python": "Meson, which needs a cross file that knows the package",
    "meson": "Meson, which needs a cross file that knows the package",
    "cargo": "Rust, whose compiler and crates for the other architecture are not at hand",
    "rust": "Rust, whose compiler and crates for the other architecture are not at hand",
}
_NAMES = "|".join(sorted(_BACKENDS, key=len, reverse=True))
_BACKEND = re.compile(rf"^\(*(?:python[\d.]+dist\((?P<dist>{_NAMES})[)\[]|(?:[\w.+]+-)*?(?P<rpm>{_NAMES})(?:\s|$))")
"""As the name of a dist, or at the end of an RPM's."""

_RAN = re.compile(
    r"Exec format error|cannot execute binary file|Could not open '/lib/ld-linux-|/lib/ld-linux-\S+: No such file"
    r"|TRY_RUN\(\) invoked in cross-compiling mode|cannot run C compiled programs",
)
_NATIVE = re.compile(r"\bas: unrecognized option '--64'|Unable to recogni[sz]e the format of the input file\b.*")
_FLAG = re.compile(r"unrecognized command[- ]line option '(-m[\w.=-]+)'")
_CHECK = re.compile(r"^%elpack_check_import +(.+)$", re.MULTILINE)
_SUFFIX = re.compile(r"\.cpython-\d+-(?P<arch>\w+)-linux-gnu\.so(?:$|\.)")

FIX = 'set way = "emulated" under [builds] (or --way emulated), or name a worker under [builds.workers]'


def obstacles(name: str, requires: Iterable[str]) -> Iterator[Problem]:
    """Yield what in a package's build requirements no cross compiler here can serve. name: for messages."""
    for require in requires:
        match = _BACKEND.match(require)
        if match:
            tool = match["dist"] or match["rpm"]
            why = f"it asks for {tool}: {_BACKENDS[tool]}"
            yield Problem("it cannot be cross-compiled", where=name, why=why, fix=FIX)


def reason(log: str) -> str:
    """Return why a build that failed may have failed for being a cross build, empty if nothing says so."""
    if match := _RAN.search(log):
        return f"it ran, or tried to run, what it had compiled for the other architecture ({match[0]})"
    if match := _NATIVE.search(log):
        return f"it took this machine's own compiler, or code that was compiled by it ({match[0]})"
    if match := _FLAG.search(log):
        return f"it compiles with {match[1]}, a flag of this machine's architecture"
    return ""


def imports_left(spec: str) -> tuple[str, ...]:
    """Return the modules that a spec's %check imports and a cross build does not."""
    return tuple(word for found in _CHECK.findall(spec) for word in shlex.split(found))


def wrong_files(name: str, arch: str, files: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Yield the machine code of a package that is not for `arch`, or is called so. files: path and file(1)'s words."""
    for path, kind in files:
        if kind.startswith("ELF ") and _CLASSES[arch] not in kind:
            what = f"{path} is not for {arch}: {kind}"
            yield Problem(what, where=name, why="its build did not take the compiler that it was given", fix=FIX)
        suffix = _SUFFIX.search(path)
        if suffix and suffix["arch"] != arch:
            what = f"{path} has the name of a module for {suffix['arch']}, so that Python on {arch} does not see it"
            yield Problem(what, where=name, why="its build asked the machine, and not Python, for the name", fix=FIX)


def too_new(name: str, glibc: tuple[int, int], requires: Iterable[str]) -> Iterator[Problem]:
    """Yield the requirements of a package above the target's glibc."""
    for require in requires:
        match = re.search(r"\(GLIBC_(\d+)\.(\d+)(?:\.\d+)?\)", require)
        if match and (int(match[1]), int(match[2])) > glibc:
            why = f"the target has glibc {glibc[0]}.{glibc[1]}: it was linked with another one"
            yield Problem(f"it requires {require}", where=name, why=why, fix=FIX)

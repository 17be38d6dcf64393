"""What makes a build believe that it runs on another architecture: texts and variables, the same for every package.

The root is of the machine's own architecture, so that its programs run as fast as they can. Beside it lies the sysroot:
the root that a build on the other architecture would have, of which nothing runs. Compilers, linkers and CMake look for
headers and libraries there; Python takes what it says of itself from there (CPython's own way to be cross-compiled).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.cross.toolchain import Toolchain

SYSROOT = "/sysroot"
FILES = "/usr/lib/elpack-cross"
"""Where a build sees the programs and settings of this module."""

SYSCONFIG = "_sysconfigdata__elpack_cross"
"""The module in which the build's Python finds the other architecture's settings."""

NOT_RUN = "elpack: not imported here, for it is compiled for another architecture:"
"""How the log's lines begin that say which modules an import check passed over."""

_TOOLS = (
    *("addr2line", "ar", "as", "c++filt", "elfedit", "gcc-ar", "gcc-nm", "gcc-ranlib", "ld", "ld.bfd", "ld.gold", "nm"),
    *("objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip"),
)
_COMPILERS = {"gcc": ("gcc", "cc"), "g++": ("g++", "c++"), "cpp": ("cpp",)}
_MACROS = ("ar", "as", "ld", "nm", "objcopy", "objdump", "ranlib", "strip")

# What begins with one of these is the build's own.
_OWN = "/builddir/*|/dev/*|/proc/*|/tmp/*|/var/tmp/*"
_WRAPPER = """\
#!/bin/sh
# A compiler for {arch}: a file or folder that the other root has is taken from there.
for word do
    shift
    case $word in
        {own}) ;;
        /*) if [ -e "{sysroot}$word" ]; then word={sysroot}$word; fi ;;
        -[IL]/*)
            path=${{word#-?}}
            if [ -e "{sysroot}$path" ]; then word=${{word%"$path"}}{sysroot}$path; fi
            ;;
    esac
    set -- "$@" "$word"
done
exec /usr/bin/{program} --sysroot={sysroot} -ffile-prefix-map={sysroot}={options} "$@"
"""


def wrappers(chain: Toolchain, libraries: Iterable[str], cxx: Iterable[str]) -> dict[str, str]:
    """Return the compilers by name, as scripts: whatever calls gcc, or the target's own name of it, gets the other.

    libraries: of the sysroot, the folders where the target's own compiler has its libraries; cxx: those of the C++
    library's headers. A cross compiler may bring neither.
    """
    link = "".join(f" -L{shlex.quote(f'{SYSROOT}/{folder}')}" for folder in libraries)
    headers = "".join(f" -isystem {shlex.quote(f'{SYSROOT}/{folder}')}" for folder in cxx)
    options = {"gcc": link, "g++": f" -nostdinc++{headers}{link}", "cpp": ""}
    found: dict[str, str] = {}
    for tool, names in _COMPILERS.items():
        text = _WRAPPER.format(
            arch=chain.arch, own=_OWN, sysroot=SYSROOT, program=f"{chain.triplet}-{tool}", options=options[tool]
        )
        found |= dict.fromkeys((*names, f"{chain.triplet}-{tool}"), text)
    return found


def links(chain: Toolchain) -> dict[str, str]:
    """Return the other tools of the compiler, each by its plain name and where it leads."""
    return {tool: f"/usr/bin/{chain.triplet}-{tool}" for tool in _TOOLS}


def cmake_toolchain(chain: Toolchain) -> str:
    """Return what CMake reads first: it compiles for another machine, runs programs here and finds the rest there."""
    modes = "".join(f"set(CMAKE_FIND_ROOT_PATH_MODE_{what} ONLY)\n" for what in ("INCLUDE", "LIBRARY", "PACKAGE"))
    return (
        "set(CMAKE_SYSTEM_NAME Linux)\n"
        f"set(CMAKE_SYSTEM_PROCESSOR {chain.arch})\n"
        f"set(CMAKE_FIND_ROOT_PATH {SYSROOT})\n"
        "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)\n"
        f"{modes}"
    )


def rpm_macros(chain: Toolchain) -> str:
    """Return rpm's settings: the other architecture's tools, and import checks that only say what they leave out."""
    tools = [f"%__{tool} /usr/bin/{chain.triplet}-{tool}" for tool in _MACROS]
    skipped = ("elpack_check_import()", "py3_check_import(e:f:t)", "pyproject_check_import(e:t)")
    checks = [f"%{name} echo '{NOT_RUN}' %{{*}}" for name in skipped]
    return "".join(f"{line}\n" for line in (*tools, *checks))


def sysconfig(native: str) -> str:
    """Return the module that gives an interpreter which is not the target's its own settings under the common name."""
    return f"build_time_vars = __import__({native!r}).build_time_vars\n"


def machine_name(chain: Toolchain) -> str:
    """Return the .pth file by which the target's Python gives the other name for the kernel's: setup scripts ask it."""
    return f"import os; os.uname = (lambda real: lambda: os.uname_result((*real()[:4], {chain.arch!r})))(os.uname)\n"


def environment(chain: Toolchain, path: str) -> Mapping[str, str]:
    """Return the variables of a build; `path` is the PATH that it would have."""
    places = ("lib64", f"lib/{chain.triplet}", "lib", "share")
    return {
        "PATH": f"{FILES}/bin:{path}",
        "_PYTHON_SYSCONFIGDATA_NAME": SYSCONFIG,
        "_PYTHON_HOST_PLATFORM": f"linux-{chain.arch}",
        "CMAKE_TOOLCHAIN_FILE": f"{FILES}/toolchain.cmake",
        "PKG_CONFIG_LIBDIR": ":".join(f"{SYSROOT}/usr/{place}/pkgconfig" for place in places),
        "PKG_CONFIG_SYSROOT_DIR": SYSROOT,
    }

"""The stand-in for the manylinux images: what it holds, and the texts of the files that are elpack's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack.model import RemoteFile, Sha256
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ZIG = "/opt/zig"
_HEADERS = "/opt/include"
"""Shows the compilers what Debian's Python.h includes by its architecture's name, and nothing of Debian's glibc."""
GLIBC = "ELPACK_GLIBC"
"""The variable that tells the compilers in the image which glibc to link for."""

# zig spells processors in its own way, lacks a linker's option that Debian's interpreters ask for, and checks for
# undefined behaviour unless told not to; Debian's own libraries are not to be linked. zig's own cache asks for the
# same inode and time of a source, and for no -MD, so that it serves no second container: ccache asks for the content
_COMPILER = """\
#!/bin/sh
for word; do
    shift
    case $word in
    -march=x86-64) word=-march=x86_64 ;;
    -march=x86-64-v?) word=-march=x86_64_v${{word#-march=x86-64-v}} ;;
    -march=armv8-a) word=-mcpu=generic ;;
    -Wl,-Bsymbolic-functions | -L/usr/lib*) continue ;;
    esac
    set -- "$@" "$word"
done
export CCACHE_DIR="${{ZIG_GLOBAL_CACHE_DIR:?}}/ccache" CCACHE_NOINODECACHE=1
export CCACHE_COMPILERTYPE=clang CCACHE_COMPILERCHECK=string:{digest}
set -- -target {triple}."${{{glibc}:?}}" -fno-sanitize=undefined -idirafter {headers} "$@" -g0
exec ccache {compilers}/{command} "$@"
"""
_BEHIND = "/usr/local/lib/elpack"
_COMPILERS = {"cc": "cc", "gcc": "cc", "c++": "c++", "g++": "c++"}
_SCRIPTS = {"pip": "pip._internal.cli.main:main", "pyproject-build": "build.__main__:entrypoint"}
_AUDITWHEEL = "auditwheel.main:main"
_FIRST = "cp311"
"""The interpreter that runs auditwheel."""


@dataclass(frozen=True, slots=True)
class Provided:
    """An interpreter of the image: its Debian packages and program, the folders in /opt/python, its library there."""

    packages: tuple[str, ...]
    program: str
    folders: tuple[str, ...]
    library: str


@dataclass(frozen=True, slots=True)
class StandinImage:
    """What the image is made of.

    leave_out: patterns of paths below the root. links: targets by path. tools: wheels by the name of their dist.
    """

    title: str
    reference: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]
    leave_out: tuple[str, ...]
    links: Mapping[str, str]
    interpreters: Mapping[str, Provided]
    tools: Mapping[str, RemoteFile]

    def every_package(self) -> tuple[str, ...]:
        """Return the Debian packages that are asked for, sorted."""
        of_interpreters = (package for one in self.interpreters.values() for package in one.packages)
        return tuple(sorted({*self.packages, *of_interpreters}))


@cache
def standin_image() -> StandinImage:
    """Return the definition that is shipped with elpack."""
    text = resources.files("elpack.wheels").joinpath("standin.toml").read_text()
    values: dict[str, Any] = parse_toml("standin.toml", text).values
    interpreters = {
        tag: Provided(tuple(one["packages"]), one["program"], tuple(one["folders"]), one["library"])
        for tag, one in values["interpreters"].items()
    }
    tools = {
        name: RemoteFile(one["url"].rpartition("/")[2], one["url"], Sha256(one["sha256"]), one["size"])
        for name, one in values["tools"].items()
    }
    lists = {key: tuple(values[key]) for key in ("suites", "packages")}
    return StandinImage(
        values["title"],
        values["reference"],
        leave_out=tuple(values["leave-out"]),
        links=values["links"],
        interpreters=interpreters,
        tools=tools,
        **lists,
    )


def programs(arch: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of the image's own programs: compilers, and auditwheel.

    The compilers have Debian's names as well, for an interpreter remembers by which name it was compiled.
    """
    triple = f"{arch}-linux-gnu"
    for name, command in _COMPILERS.items():
        text = _COMPILER.format(
            command=command,
            triple=triple,
            glibc=GLIBC,
            headers=_HEADERS,
            digest=standin_image().tools["ziglang"].sha256,
            compilers=_BEHIND,
        )
        for path in (name, f"{triple}-{name}"):
            yield f"usr/local/bin/{path}", text
    for command in sorted({*_COMPILERS.values()}):
        yield f"{_BEHIND[1:]}/{command}", f'#!/bin/sh\nexec {ZIG}/zig {command} "$@"\n'
    yield "usr/local/bin/auditwheel", _script(f"/opt/python/{_folder(_FIRST)}", _AUDITWHEEL)


def environment_files(one: Provided) -> Iterator[tuple[str, str]]:
    """Yield path and text of what makes a folder in /opt/python a virtual environment, but for its links."""
    home = f"opt/python/{one.folders[0]}"
    yield f"{home}/pyvenv.cfg", f"home = {one.program.rpartition('/')[0]}\ninclude-system-site-packages = false\n"
    for name, point in _SCRIPTS.items():
        yield f"{home}/bin/{name}", _script(f"/{home}", point)


def header_link(arch: str) -> tuple[str, str]:
    """Return path and target of the link by which the compilers find pyconfig.h."""
    return f"{_HEADERS[1:]}/{arch}-linux-gnu", f"/usr/include/{arch}-linux-gnu"


def links(one: Provided) -> Iterator[tuple[str, str]]:
    """Yield path and target of the links of an interpreter: its own in its folder, and its folder's other names."""
    home = f"opt/python/{one.folders[0]}"
    yield f"{home}/bin/{one.program.rpartition('/')[2]}", one.program
    yield f"{home}/bin/python", one.program.rpartition("/")[2]
    yield f"{home}/bin/python3", "python"
    for other in one.folders[1:]:
        yield f"opt/python/{other}", one.folders[0]


def site_packages(one: Provided) -> str:
    """Return where an interpreter's modules are, relative to the image's root."""
    return f"opt/python/{one.folders[0]}/{one.library}/site-packages"


def _folder(tag: str) -> str:
    return standin_image().interpreters[tag].folders[0]


def _script(home: str, point: str) -> str:
    module, _, function = point.partition(":")
    return f"#!{home}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"

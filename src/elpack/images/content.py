"""What a layer may not hold: compilers, installers, caches, history, stale bytecode, paths of the building machine."""

from __future__ import annotations

import importlib.util
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

_TOOLS = re.compile(
    r"(?:.*/)?s?bin/(?:(?:.*-)?(?:gcc|g\+\+|c\+\+|cpp|cc|ld(?:\.\w+)?|as)(?:-[0-9.]+)?|make|cmake|ninja|uvx?"
    r"|pip[0-9.]*|dnf[0-9.-]*|microdnf|yum|apt|apt-get)"
)
_INSTALLERS = re.compile(r".*/(?:site|dist)-packages/(pip|uv|ensurepip)(?:-[^/]+)?/.*")
_LEFT = re.compile(
    r"(?:.*/)?(?:\.cache|\.uv|\.npm)/.+|(?:.*/)?\.(?:bash|python|ash|sh)_history|var/cache/(?:dnf|yum|apt)/.+"
    r"|var/lib/dnf/.+|var/log/(?:dnf|hawkey|yum).*|tmp/.+|var/tmp/.+|(?:.*/)?(?:uv_cache|direct_url)\.json"
)
_BYTECODE = re.compile(r"(.*)__pycache__/([^/]+)\.(?:cpython|pypy)-?[0-9]+(?:\.opt-[12])?\.pyc")
_HEADER = struct.Struct("<4sI8s")
_UNCHECKED = 1
_SHORTEST = 8
_MOST = 20


@dataclass(slots=True)
class Findings:
    """What is wrong with the layers of an image, file by file. own: dists that are meant to be in it, such as pip.

    builder: paths of the building machine, which may stand in no file.
    """

    own: Collection[str] = ()
    builder: tuple[bytes, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    _sources: dict[str, tuple[int, int, bytes]] = field(default_factory=dict)
    _bytecode: dict[str, bytes] = field(default_factory=dict)

    def look(self, path: str, mtime: int, content: bytes) -> None:
        """Look at a regular file: its path without a slash in front, its time in seconds since 1970, what is in it."""
        tool, installer = _TOOLS.fullmatch(path), _INSTALLERS.fullmatch(path)
        if (tool and path.rpartition("/")[2] not in self.own) or (installer and installer[1] not in self.own):
            self._add("it has no business in an image", path)
        if _LEFT.fullmatch(path):
            self._add("it was left over", path)
        if any(name in content for name in self.builder):
            self._add("it holds a path of the machine that built it", path)
        if path.endswith(".py"):
            self._sources[path] = mtime, len(content), importlib.util.source_hash(content)
        elif _BYTECODE.fullmatch(path):
            self._bytecode[path] = content[: _HEADER.size]

    def all(self) -> list[Problem]:
        """Return all that is wrong, after every file was looked at."""
        stale = [path for path in sorted(self._bytecode) if self._is_stale(path)]
        for path in stale[:_MOST]:
            self._add("bytecode that Python would not use: it is of another source", path)
        if len(stale) > _MOST:
            self._add(f"{len(stale)} files of bytecode are stale", stale[_MOST])
        return self.problems

    def _is_stale(self, path: str) -> bool:
        found = _BYTECODE.fullmatch(path)
        source = self._sources.get(f"{found[1]}{found[2]}.py") if found else None
        if source is None:  # its source may be in another layer, or gone: Python then does not look at it
            return False
        mtime, size, digest = source
        magic, flags, rest = _HEADER.unpack(self._bytecode[path].ljust(_HEADER.size, b"\0"))
        if flags & _UNCHECKED:
            # each version of Python has a key of its own, and PyPy another algorithm
            return bool(magic == importlib.util.MAGIC_NUMBER and rest != digest)
        return bool(rest != struct.pack("<II", mtime & 0xFFFFFFFF, size & 0xFFFFFFFF))

    def _add(self, what: str, path: str) -> None:
        self.problems.append(Problem(what, where=path))


def builder_paths(*paths: str) -> tuple[bytes, ...]:
    """Return paths as `Findings` looks for them; those that are too short to mean the builder are left out."""
    return tuple(path.encode() for path in paths if len(path) >= _SHORTEST)


def members_of(path: str) -> str:
    """Return a member's path as `Findings` wants it."""
    return path.removeprefix("./").strip("/")

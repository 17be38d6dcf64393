"""The columns of the availability matrix: an interpreter on a machine, and the wheel tags that run there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from elpack.plan.policy import manylinux_platforms, ranked_tags
from elpack.wheels.model import INTERPRETERS, OLDER, Implementation, Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag

    Ranks = Mapping[Tag, int]

_MUSL = (2, 1, 0)
"""Minor versions of musl 1 that wheels name; the newest is that of every release since 2020."""
_NEWEST_GLIBC = 99


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """An interpreter on a machine. musl: its C library is that, and glibc otherwise."""

    interpreter: Interpreter
    arch: str
    musl: bool = False

    def __str__(self) -> str:
        """Return it as people say it: CPython 3.12 x86_64."""
        return f"{self.interpreter} {self.arch}{' musl' if self.musl else ''}"

    @property
    def name(self) -> str:
        """Return the interpreter's tag; of a PyPy that is not the one of its tag also which: pp311_pp73."""
        tag, release = self.interpreter.tag, self.interpreter.release
        return f"{tag}_pp{release.replace('.', '')}" if self.interpreter in OLDER else tag

    @property
    def key(self) -> str:
        """Return it as machines say it: cp312-x86_64."""
        return f"{self.name}-{'musllinux_' if self.musl else ''}{self.arch}"

    @property
    def python(self) -> str:
        """Return the interpreter's version."""
        return self.interpreter.version

    def marker_environment(self) -> dict[str, str]:
        """Return what markers of a lock are held against."""
        return self.interpreter.marker_environment(self.arch)


def columns_of(interpreters: Iterable[Interpreter], arches: Sequence[str], *, musl: bool) -> tuple[Column, ...]:
    """Return every column: by architecture, then C library, then interpreter."""
    ordered = sorted(set(interpreters), key=lambda one: (one.implementation, _numbers(one.version), one.release))
    return tuple(
        Column(interpreter, arch, libc)
        for arch in dict.fromkeys(arches)
        for libc in ((False, True) if musl else (False,))
        for interpreter in ordered
    )


def interpreter_of(python: str) -> Interpreter:
    """Return the CPython of a version, such as a target has, known to the release file or not."""
    tag = f"cp{python.replace('.', '')}"
    return INTERPRETERS.get(tag) or Interpreter(tag, python, Implementation.CPYTHON)


@cache
def fitting_tags(column: Column, glibc: tuple[int, int]) -> Ranks:
    """Return the wheel tags that run there with a glibc that new, each with its rank; 0 is the best."""
    if column.musl:
        return _ranked(column, [*(f"musllinux_1_{minor}_{column.arch}" for minor in _MUSL), f"linux_{column.arch}"])
    return _ranked(column, manylinux_platforms(column.arch, glibc))


@cache
def newer_tags(column: Column, glibc: tuple[int, int]) -> Ranks:
    """Return the wheel tags that would run there if its glibc were newer; the least new is the best."""
    if column.musl:
        return {}
    major, minor = glibc
    newer = (f"manylinux_{major}_{one}_{column.arch}" for one in range(minor + 1, _NEWEST_GLIBC + 1))
    known = fitting_tags(column, glibc)
    return {tag: rank for tag, rank in _ranked(column, list(newer)).items() if tag not in known}


def _ranked(column: Column, platforms: Sequence[str]) -> Ranks:
    return ranked_tags(column.python, column.interpreter.release, platforms)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))

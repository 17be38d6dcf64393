"""Wheel or sdist: chooses for each third-party dist which locked file becomes its RPM, and says why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.tags import compatible_tags, cpython_tags, generic_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from elpack.model import Policy, pypy_abi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.tags import Tag

    from elpack.model import RemoteFile, SelectedDist, Target

    Ranks = Mapping[Tag, int]

_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(.+)")
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST_GLIBC_MINOR = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The file that a dist is packaged from; `problem` says why there is none."""

    policy: Policy
    file: RemoteFile | None
    reason: str
    problem: str = ""


def target_tags(target: Target) -> Ranks:
    """Return the wheel tags (PEP 425, 600) that run on the target, each with its rank; 0 is the best."""
    return ranked_tags(target.python, target.pypy, manylinux_platforms(target.arch, target.glibc))


def ranked_tags(python: str, pypy: str, platforms: Sequence[str]) -> Ranks:
    """Return the wheel tags that an interpreter loads on platforms, the best of these first; see `target_tags`.

    pypy: PyPy's own version, such as 7.3; empty for CPython.
    """
    version, name = tuple(int(part) for part in python.split(".")), f"{'pp' if pypy else 'cp'}{python.replace('.', '')}"
    own = generic_tags(name, [pypy_abi(python, pypy)], platforms) if pypy else cpython_tags(version, [name], platforms)
    shared = compatible_tags(version, name, platforms)
    return {tag: rank for rank, tag in reversed(list(enumerate((*own, *shared))))}


def manylinux_platforms(arch: str, glibc: tuple[int, int]) -> list[str]:
    """Return the platform tags that run on a Linux with that glibc, the best first."""
    major, newest = glibc
    platforms = []
    for minor in range(newest, _OLDEST_GLIBC_MINOR - 1, -1):
        platforms.append(f"manylinux_{major}_{minor}_{arch}")
        if legacy := _LEGACY.get((major, minor)):
            platforms.append(f"{legacy}_{arch}")
    return [*platforms, f"linux_{arch}"]


def choose_file(
    dist: SelectedDist, target: Target, ranks: Ranks, *, compile_it: str = "", first_party: bool = False
) -> Choice:
    """Choose a dist's file for a target whose `target_tags` are given.

    First-party dists, and those with a reason to `compile_it`, come from their sdist; all others from the best wheel
    that the lock pins for the target, else from the sdist.
    """
    if first_party:
        return _sdist(dist, "first-party: compiled from its own source")
    if compile_it:
        return _sdist(dist, f"switched to sdist: {compile_it}")
    wheel = best_wheel(dist.wheels, ranks)
    if wheel is not None:
        kind = "pure wheel" if wheel.filename.endswith("-none-any.whl") else "binary wheel within the target's glibc"
        return Choice(Policy.WHEEL, wheel, f"the lock pins a {kind}")
    return _sdist(dist, why_no_wheel(dist.wheels, target))


def best_wheel(wheels: tuple[RemoteFile, ...], ranks: Ranks) -> RemoteFile | None:
    """Return the wheel that an installer on the target would take, or None."""
    ranked = []
    for wheel in wheels:
        tags, build = _tags(wheel.filename)
        fitting = [ranks[tag] for tag in tags if tag in ranks]
        if fitting:
            ranked.append((min(fitting), tuple(-number for number in build), wheel.filename, wheel))
    return min(ranked)[-1] if ranked else None


def why_no_wheel(wheels: tuple[RemoteFile, ...], target: Target) -> str:
    """Return why none of the wheels serves the target; a glibc that is too new is told from a missing platform."""
    if not wheels:
        return "the lock pins no wheel"
    needed = {glibc for wheel in wheels for glibc in _glibcs(wheel, target)}
    # what needs less does not fit for another reason
    if too_new := sorted(glibc for glibc in needed if glibc > target.glibc):
        need = ".".join(map(str, too_new[0]))
        have = ".".join(map(str, target.glibc))
        return f"its wheels need glibc {need}, the target has {have}"
    return f"the lock pins no wheel for {target.interpreter_name} on {target.arch}"


def _sdist(dist: SelectedDist, reason: str) -> Choice:
    if dist.sdist is None:
        return Choice(Policy.SDIST, None, reason, problem=f"{reason}, and there is no sdist")
    return Choice(Policy.SDIST, dist.sdist, reason)


@cache
def _tags(filename: str) -> tuple[frozenset[Tag], tuple[int, ...]]:
    """Return what a wheel's name says; a lock's names are asked about for every target and layout."""
    try:
        _, _, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return frozenset(), ()
    return tags, build[:1] if build else (0,)


def _glibcs(wheel: RemoteFile, target: Target) -> Iterator[tuple[int, int]]:
    """Yield the glibc that each tag asks for which but for that would run on the target."""
    tags, _ = _tags(wheel.filename)
    for tag in tags:
        found = _MANYLINUX.fullmatch(tag.platform)
        if found is not None and found[3] == target.arch and _speaks_python(tag, target):
            yield int(found[1]), int(found[2])


def _speaks_python(tag: Tag, target: Target) -> bool:
    if target.pypy:
        own = f"pp{target.python_nodot}"
        return (tag.interpreter, tag.abi) in {
            (own, pypy_abi(target.python, target.pypy)),
            (own, "none"),
            ("py3", "none"),
        }
    own = f"cp{target.python_nodot}"
    if tag.abi == "abi3":
        minor = tag.interpreter.removeprefix("cp3")
        return minor.isdigit() and int(minor) <= int(target.python.partition(".")[2])
    return (tag.interpreter, tag.abi) in {(own, own), (own, "none"), ("py3", "none"), ("cp3", "none")}

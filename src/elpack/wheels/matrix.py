"""Decides what becomes of each package for each interpreter, architecture and platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.wheels.model import MUSLLINUX, Cell, How, is_known
from elpack.wheels.standin import standin_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from elpack.wheels.model import Interpreter, Wheels


def matrix(
    wheels: Wheels, packages: Mapping[NormalizedName, bool], obstacles: Mapping[str, str], *, standin: bool
) -> tuple[Cell, ...]:
    """Return all places of the matrix in the order in which they are built.

    packages: whether each compiles something. obstacles: why an architecture's programs do not run here, "" where they
    do. standin: whether the stand-in image takes the manylinux images' place.
    """
    return tuple(_cells(wheels, packages, obstacles, standin=standin))


def _cells(
    wheels: Wheels, packages: Mapping[NormalizedName, bool], obstacles: Mapping[str, str], *, standin: bool
) -> Iterator[Cell]:
    for package, binary in packages.items():
        if not binary:
            yield Cell(package, "", "", "any", How.PURE, "it compiles nothing: one wheel serves everybody")
            continue
        for platform in wheels.platforms:
            for arch in wheels.arches:
                for interpreter in wheels.interpreters:
                    reason = obstacles.get(arch, "") or _lacking(interpreter, platform, standin=standin)
                    how = How.NOT if reason else How.STANDIN if standin else How.IMAGE
                    yield Cell(package, interpreter.tag, arch, platform, how, reason)


def _lacking(interpreter: Interpreter, platform: str, *, standin: bool) -> str:
    """Return why an image cannot build for an interpreter on a platform, "" where it can."""
    if not is_known(interpreter, platform):
        return "PyPy is not built for musl"
    if not standin:
        return ""
    if platform == MUSLLINUX:
        return "the stand-in image's interpreters are for glibc"
    if interpreter.tag not in standin_image().interpreters:
        return f"no registry that the stand-in image is made from has {interpreter.tag}"
    return ""


def chosen(
    cells: Sequence[Cell], packages: Sequence[str] = (), interpreters: Sequence[str] = (), arches: Sequence[str] = ()
) -> tuple[Cell, ...]:
    """Return the places that were asked for; no word leaves out none. Pure wheels are for all."""
    return tuple(
        cell
        for cell in cells
        if (not packages or cell.package in packages)
        and (not interpreters or not cell.interpreter or cell.interpreter in interpreters)
        and (not arches or not cell.arch or cell.arch in arches)
    )

"""What images of another architecture need of this machine; asked before anything is built or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.builders.emulation import MACHINE, emulation, how_to_emulate, is_emulated
from elpack.errors import ForeignArchError, ImageError, Problem
from elpack.images.model import Flavour, Mode
from elpack.steps.images.recipe import flavours_of, images_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.builders.emulation import Emulation
    from elpack.session import Session


def need_for_build(session: Session, flavours: Sequence[Flavour], mode: Mode | None) -> None:
    """Raise what keeps images from being made for the target's architecture; session: its target is chosen.

    `ImageError` for mode `container`: its first stage runs uv, and what is here is this machine's own; and for flavour
    `pypy`, whose extensions are compiled by the architecture's own PyPy.
    `ForeignArchError` for flavour `rpm` without emulation: packages run scriptlets where they are installed.
    """
    if not is_emulated(session.target.arch):
        return
    made = flavours_of(session, flavours)
    if Flavour.UV in made and (mode or images_of(session).mode) is Mode.CONTAINER:
        what = f"in mode container uv runs as a program of {session.target.arch}, and there is none here"
        fix = "--mode host, which gives the same tree and runs nothing of that architecture; or build it there"
        raise ImageError(Problem(what, "[images] mode", fix=fix))
    if Flavour.PYPY in made:
        need_own_machine(session.target.arch)
    if Flavour.RPM in made:
        rest = "--flavour uv needs none of this"
        _need_emulation(session.target.arch, "dnf runs the scriptlets of the packages that it installs", rest)


def need_own_machine(arch: str) -> None:
    """Raise `ImageError` where flavour `pypy` of an architecture cannot be compiled: on every other machine."""
    if is_emulated(arch):
        what = f"flavour pypy for {arch} is compiled on such a machine only, and this one has {MACHINE}"
        fix = f"name the other flavours by --flavour, or build it on a machine with {arch}"
        raise ImageError(Problem(what, "--flavour pypy", fix=fix))


def need_to_run(arch: str) -> None:
    """Raise `ForeignArchError` where images of an architecture cannot be run here."""
    if is_emulated(arch):
        _need_emulation(arch, "an image is tried by running it", f"or try it on a machine that is {arch}")


def _need_emulation(arch: str, why: str, rest: str) -> None:
    found: Emulation = emulation(arch)
    if not found.works:
        fix = f"{found.fix}\n{how_to_emulate(arch)}\n{rest}"
        raise ForeignArchError(Problem(f"programs of {arch} do not run here: {found.obstacle}", why=why, fix=fix))

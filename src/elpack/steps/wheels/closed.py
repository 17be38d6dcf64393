"""Finds words that name places of the matrix of which none can be built here: who names one wants its wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.builders.emulation import MACHINE, emulation, how_to_emulate
from elpack.errors import Problem
from elpack.wheels.model import How

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.steps.wheels.build import WantedWheels
    from elpack.wheels.model import Cell


def closed(wanted: WantedWheels, cells: Sequence[Cell]) -> Iterator[Problem]:
    """Yield each such word, and why. cells: the places that were asked for."""
    asked = (
        ("--interpreter", wanted.interpreters, "interpreter"),
        ("--arch", wanted.arches, "arch"),
        ("--policy", wanted.policies, "platform"),
    )
    for option, words, key in asked:
        for word in words:
            named = [cell for cell in cells if cell.arch and getattr(cell, key) == word]
            if named and all(cell.how is How.NOT for cell in named):
                why = "; ".join(dict.fromkeys(cell.reason for cell in named))
                what = f"no wheel that was asked for can be built for {word} here"
                yield Problem(what, option, why, _way_out(named[0]))


def _way_out(cell: Cell) -> str:
    if cell.arch != MACHINE and (state := emulation(cell.arch)).obstacle:
        return f"{state.fix}\n{how_to_emulate(cell.arch)}"
    return "name others, or pull the images of manylinux, which have more: --image manylinux"

"""Decides how code of an architecture is compiled on this machine, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders.emulation import how_to_emulate
from elpack.errors import ForeignArchError, Problem
from elpack.model import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.builders.emulation import Emulation


@dataclass(frozen=True, slots=True)
class ChosenWay:
    """A way, and the reason why it is this one, as a half sentence."""

    way: Way
    reason: str


def choose_way(
    wanted: Way | None,
    arch: str,
    *,
    machine: str,
    workers: Mapping[str, tuple[str, ...]],
    emulation: Emulation,
) -> ChosenWay:
    """Return how code of `arch` is compiled: as `wanted`, which is None for the best that there is.

    That is native, on this machine or by a worker, else emulated. What this machine runs by itself is always
    native: `wanted` is about other architectures. machine: this machine's architecture. workers: by architecture,
    see `config.builds.Builds`. emulation: what there is for `arch`.

    Raises `ForeignArchError`, which names every way out.
    """
    if arch == machine:
        return ChosenWay(Way.NATIVE, f"this machine is {arch}")
    asked = "it was asked for, and " if wanted else ""
    if wanted is Way.CROSS:
        return ChosenWay(Way.CROSS, "it was asked for")
    if arch in workers and wanted is not Way.EMULATED:
        return ChosenWay(Way.NATIVE, f"{asked}[builds.workers] names a worker for {arch}")
    if wanted is not Way.NATIVE and emulation.works:
        return ChosenWay(Way.EMULATED, f"{asked}{emulation.program} runs {arch} programs here")
    raise ForeignArchError(_no_way(wanted, arch, machine, emulation))


def _no_way(wanted: Way | None, arch: str, machine: str, emulation: Emulation) -> Problem:
    no_worker = f"[builds.workers] names none for {arch}"
    obstacles = {
        None: f"{no_worker}, and {emulation.obstacle}",
        Way.NATIVE: no_worker,
        Way.EMULATED: emulation.obstacle,
    }
    how = "" if wanted is None else f" by the way {wanted}"
    return Problem(
        f"code for {arch} cannot be compiled on this {machine} machine{how}",
        where="[builds] way" if wanted else "",
        why=obstacles[wanted],
        fix=ways_out(arch, emulation),
    )


def ways_out(arch: str, emulation: Emulation) -> str:
    """Return the three ways to compile for another architecture, as what to type for each."""
    slower = "10 to 13 times slower"
    if emulation.works:
        emulator = f'emulation, which works here, {slower}: [builds] way = "emulated"'
    else:
        how = f"what is missing here: {emulation.obstacle}: {emulation.fix}\n{how_to_emulate(arch)}, so take 1 or 3"
        emulator = f"emulation, {slower}:\n     " + how.replace("\n", "\n     ")
    return (
        "one of these three:\n"
        f'  1. a machine of that architecture: [builds.workers] {arch} = ["ssh", "HOST", "elpack", "worker"]\n'
        f"  2. {emulator}\n"
        '  3. a cross compiler: [builds] way = "cross" in elpack.toml (or --way cross)'
    )

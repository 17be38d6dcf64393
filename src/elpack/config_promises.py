"""The [promises] table of the release file: what the packages promise beyond what their metadata says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.naming import dist_name

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from elpack.tables import Table


@dataclass(frozen=True, slots=True)
class Promises:
    """What is checked of every plan and build.

    not_required: dists that nothing in the closure may bring along. cffi_only: extension modules of first-party
    packages go through CFFI, not through CPython's own API.
    """

    not_required: tuple[NormalizedName, ...] = ()
    cffi_only: bool = False


def read_promises(table: Table) -> Promises:
    """Return the promises, none where the release makes none; mistakes are noted at their keys."""
    found: list[NormalizedName] = []
    for position, text in enumerate(table.strings("not-required")):
        try:
            name = dist_name(text)
        except ValueError as error:
            table.problem(f"not-required[{position}]", str(error))
            continue
        if name in found:
            table.problem(f"not-required[{position}]", f"{name} is there twice")
        found.append(name)
    promises = Promises(tuple(found), table.get("cffi-only", bool, False))
    table.done()
    return promises

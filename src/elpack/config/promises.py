"""The [promises] table of the release file: what the packages promise beyond what their metadata says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.config.values import dist_names

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
    promises = Promises(dist_names(table, "not-required"), table.get("cffi-only", bool, False))
    table.done()
    return promises

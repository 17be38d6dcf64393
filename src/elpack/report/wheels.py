"""What became of each place of the wheels' matrix, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from elpack.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.steps.wheels.build import Built


def wheels_table(results: Sequence[Built]) -> Table:
    """Return one line per place: what was built how, in which time, or why not."""
    table = Table(box=None, header_style="bold")
    for heading in ("package", "for", "platform", "how", "seconds", "wheel, or why there is none"):
        table.add_column(heading, overflow="fold")
    for one in results:
        cell = one.cell
        what = one.wheel.name if one.wheel else (one.error or cell.reason).partition("\n")[0]
        took = f"{one.seconds:.0f}" if one.seconds else ("there" if one.wheel else "")
        how = "[red]failed[/]" if one.error else str(cell.how)
        place = f"{cell.interpreter} {cell.arch}".strip() or "everybody"
        table.add_row(cell.package, place, cell.platform, how, took, escape(plain(what)))
    return table


def wheels_json(results: Sequence[Built]) -> list[dict[str, Any]]:
    """Return the same for machines."""
    return [
        {
            "package": one.cell.package,
            "interpreter": one.cell.interpreter,
            "arch": one.cell.arch,
            "platform": one.cell.platform,
            "how": str(one.cell.how),
            "reason": one.cell.reason,
            "wheel": one.wheel.name if one.wheel else "",
            "seconds": round(one.seconds, 1),
            "error": one.error,
        }
        for one in results
    ]

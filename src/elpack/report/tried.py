"""How wheels and sdists went on each interpreter, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from elpack.plain import plain
from elpack.wheels.trial import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.wheels.trial import Part, Trial

_COLOURS = {State.PASSED: "green", State.FAILED: "red", State.SKIPPED: "yellow"}
_PARTS = ("install", "requirements", "imports", "scripts", "suite")


def tried_table(trials: Sequence[Trial]) -> Table:
    """Return one line per package, origin and interpreter; what was not tried has its reason."""
    table = Table(box=None, header_style="bold")
    for heading in ("package", "from", "interpreter", "result", *_PARTS, "told"):
        table.add_column(heading, overflow="fold")
    for one in trials:
        python = f"{one.interpreter} ({one.python})" if one.python else one.interpreter
        told = [one.reason, *(part.detail for part in one.parts if part.state is not State.PASSED and part.detail)]
        result = f"[{_COLOURS[one.state]}]{one.state.value}[/]"
        parts = [_word(one.part(name)) for name in _PARTS]
        said = escape(plain("; ".join(filter(None, told)).replace("\n", " ")))
        table.add_row(escape(one.package), one.origin.value, escape(python), result, *parts, said)
    return table


def tried_json(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return everything for machines."""
    return {"trials": [one.as_json() for one in trials]}


def _word(part: Part | None) -> str:
    if part is None:
        return "-"
    if part.name == "suite" and part.counts:
        return escape(", ".join(f"{count} {kind}" for kind, count in sorted(part.counts.items())))
    return part.state.value

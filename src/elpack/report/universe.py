"""What a universe consists of, what was made of it in this run, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.universe import Outcome, Universe


def universe_parts(universe: Universe) -> Iterator[Table | str]:
    """Yield a table of the packages, in the order in which they are built, and what else there is to say.

    Without anything finished there is no table: it would say what is made, and nothing is.
    """
    if universe.outcomes:
        yield _table(universe)
    lines = [f"{carrier}: skipped, because {why}" for carrier, why in universe.skipped.items()]
    if universe.outcomes and not universe.made and not universe.failed:
        lines.append("nothing to do: nothing changed")
    if lines:
        yield "\n".join(lines)


def _table(universe: Universe) -> Table:
    table = Table(title="what was made, and why", title_justify="left", box=None, header_style="bold")
    for heading in ("package", "source", *universe.outcomes):
        table.add_column(heading, overflow="fold")
    for member in universe.members:
        found = (outcomes.get(str(member.name)) for outcomes in universe.outcomes.values())
        table.add_row(escape(f"{member.name} {member.version}"), escape(member.source), *map(_cell, found))
    for what in _others(universe):
        found = (outcomes.get(what) for outcomes in universe.outcomes.values())
        table.add_row(escape(what), "", *map(_cell, found))
    return table


def universe_json(universe: Universe) -> dict[str, Any]:
    """Return it for machines."""
    return {
        "packages": [
            {
                "name": member.name,
                "version": member.version,
                "source": member.source,
                "sdist": {"file": member.sdist, "sha256": member.sha256},
                "needs": sorted(member.needs),
            }
            for member in universe.members
        ],
        "results": {
            place: {what: {"made": one.made, "number": one.number, "why": one.why} for what, one in outcomes.items()}
            for place, outcomes in universe.outcomes.items()
        },
        "skipped": {str(carrier): why for carrier, why in universe.skipped.items()},
    }


def _others(universe: Universe) -> list[str]:
    names = {str(member.name) for member in universe.members}
    return list(dict.fromkeys(what for found in universe.outcomes.values() for what in found if what not in names))


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    how = f"{outcome.made} of {outcome.number} " if 0 < outcome.made < outcome.number else ""
    colour = "yellow" if outcome.made else "green"
    return f"[{colour}]{escape(how + outcome.why)}[/]"

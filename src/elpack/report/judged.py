"""What was found out about wheels and sdists, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from elpack.plain import plain
from elpack.wheels.judgement import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.wheels.judgement import Judgement

_JSON_ONLY = ("reproducible",)
"""What is no news of wheels that others made."""
_COLOURS = {Verdict.PASSED: "green", Verdict.REFUSED: "red"}


def judged_table(judgements: Sequence[Judgement]) -> Table:
    """Return one line per file: its tag, the one that it deserves, and the verdict."""
    table = Table(box=None, header_style="bold")
    for heading in ("file", "kind", "tag", "deserved tag", "verdict", "as a binary", "judges"):
        table.add_column(heading, overflow="fold")
    for one in judgements:
        judges = ", ".join(f"{name} {said}" for name, said in sorted(one.checks.items()) if said != one.binary)
        verdict = f"[{_COLOURS[one.verdict]}]{one.verdict.value}[/]"
        cells = [escape(plain(text)) for text in (one.file, one.kind, one.tag, one.deserved)]
        table.add_row(*cells, verdict, escape(plain(one.binary)), escape(plain(judges)))
    return table


def notices(judgements: Sequence[Judgement]) -> list[str]:
    """Return what was found that refuses nothing, one text for each."""
    return [
        f"notice: {finding.problem}"
        for one in judgements
        for finding in one.findings
        if finding.severity is Severity.NOTICE and finding.rule not in _JSON_ONLY
    ]


def judged_json(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return everything for machines."""
    return {"files": [one.as_json() for one in judgements]}

"""A result: a table for people, the same rows as JSON for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Table:
    """`rows` have one value per column; None means: not measured. `notes` say what a number does not."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"benchmark": self.name, "title": self.title, "rows": rows, "notes": self.notes}

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(_shown(value) for value in row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        left = [all(isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        text = [f"{self.name}: {self.title}", ""]
        for number, line in enumerate(lines):
            cells = [
                cell.ljust(width) if is_left else cell.rjust(width)
                for cell, width, is_left in zip(line, widths, left, strict=True)
            ]
            text.append("  ".join(cells).rstrip())
            if number == 0:
                text.append("  ".join("-" * width for width in widths))
        return "\n".join([*text, *(f"- {note}" for note in self.notes)])


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004
    return str(value)

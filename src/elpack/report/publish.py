"""What the user reads about publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.publication import Line, Record
    from elpack.steps.publish.run import Published


def published_text(done: Published, to: str, line: Line) -> str:
    """Return what became of a publication."""
    if not done.new:
        return f"nothing to do: {to}/{line.pointer} is {done.id} already"
    lines = [f"{to}/{line.pointer} -> {line.folder}/{done.id}"]
    lines += [f"{done.packages} RPMs verified, {done.size / 1e6:.0f} MB"]
    lines += [f"removed: {one}" for one in done.removed]
    return "\n".join(lines)


def listing_table(rows: Sequence[tuple[Line, Record, bool]]) -> str:
    """Return one line for each publication, an asterisk for the current one."""
    if not rows:
        return "nothing is published there"
    return "\n".join(
        f"{'*' if current else ' '} {line.folder}/{record.id}  {record.size / 1e6:.0f} MB"
        for line, record, current in rows
    )

"""Where results go: tables and lines for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from rich.table import Table

_UNFOLDED = 10_000


def show(what: Table | str) -> None:
    """Print a result. Whatever is not a terminal gets lines that no column folded and no padding ends."""
    console = stdout()
    plain = escape(what) if isinstance(what, str) else what
    if console.is_terminal:
        console.print(plain, highlight=False)
        return
    with console.capture() as text:
        console.print(plain, highlight=False)
    print("\n".join(line.rstrip() for line in text.get().splitlines()))  # noqa: T201


def print_json(value: object) -> None:
    """Print a value for machines, always in the same order."""
    print(json.dumps(value, indent=2, sort_keys=True))  # noqa: T201


def stdout() -> Console:
    """Return the console that results go to."""
    return console_on(sys.stdout)


def console_on(stream: TextIO) -> Console:
    """Return a console on a stream; what is no terminal has no width."""
    # ":a:" in a path or a digest is no picture
    return Console(file=stream, emoji=False, width=None if stream.isatty() else _UNFOLDED)

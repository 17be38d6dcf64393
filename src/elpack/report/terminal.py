"""The terminal: live progress where there is one, plain lines in a log, little or nothing when asked."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from elpack.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from elpack.plan.model import NodeId, Package, Plan


class Terminal:
    """Shows a run on a console. Without a terminal there are plain lines, one per thing that is finished."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self._live: Live | None = None

    @contextmanager
    def phase(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show that a phase runs; what the caller says last stands in its line at the end."""
        start, said = time.monotonic(), ""

        def say(text: str) -> None:
            nonlocal said
            said = text
            if self._live is not None:
                self._live.update(_line(title, text, start))

        mark = "[red]✗[/]"
        try:
            with self._shown(_line(title, "", start)):
                yield say
            mark = "[green]✓[/]"
        finally:
            if self._live is None and not self.quiet:
                seconds = time.monotonic() - start
                self.console.print(f"{mark} {title:<34} [dim]{seconds:6.1f} s[/]  {escape(said)}", highlight=False)

    @contextmanager
    def _shown(self, first: Table) -> Iterator[None]:
        if self._live is not None or self.quiet or not self.console.is_terminal:
            yield
            return
        with Live(first, console=self.console, transient=True, refresh_per_second=8) as live:
            self._live = live
            try:
                yield
            finally:
                live.update("")
                self._live = None

    @contextmanager
    def building(self, plan: Plan) -> Iterator[BuildView]:
        """Show packages being built."""
        view = BuildView(self, plan)
        live = self._live
        if live is not None:
            live.update(view)
        yield view

    def notice(self, text: str) -> None:
        """Say something that the user should know."""
        if not self.quiet:
            self.console.print(f"[yellow]![/] {escape(plain(text))}", highlight=False)


class BuildView:
    """A build under way: how many are done, cached and failed, and what runs now."""

    def __init__(self, terminal: Terminal, plan: Plan) -> None:
        self.terminal = terminal
        self.total = len(plan.packages)
        self.start = time.monotonic()
        self.built = self.cached = self.broken = 0
        self.running: dict[NodeId, tuple[str, float]] = {}

    def started(self, packages: Sequence[Package]) -> None:
        """Note that these are being built, in one root."""
        label = packages[0].nvr
        if len(packages) > 1:
            label += f" and {len(packages) - 1} more wheels in one root"
        now = time.monotonic()
        for package in packages:
            self.running[package.node] = (label, now)
        if len(packages) == 1 and not self.terminal.console.is_terminal:
            self._say(f"  building {packages[0].nvr}")

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        """Note that a package is in the store."""
        self.running.pop(package.node, None)
        if cached:
            self.cached += 1
            return
        self.built += 1
        self._say(f"  [green]built[/] {package.nvr:<58} [dim]{seconds:6.1f} s[/]")

    def postponed(self, packages: Sequence[Package]) -> None:
        """Note that these wait again."""
        for package in packages:
            self.running.pop(package.node, None)

    def failed(self, package: Package) -> None:
        """Note that a package did not build."""
        self.running.pop(package.node, None)
        self.broken += 1
        self._say(f"  [red]failed[/] {package.nvr}")

    def notice(self, text: str) -> None:
        """Say something that the user should know."""
        self.terminal.notice(text)

    def __rich__(self) -> Group:
        done = self.built + self.cached
        head = Table.grid(padding=(0, 1))
        elapsed = time.monotonic() - self.start
        counts = f"{done}/{self.total}  built {self.built}  cached {self.cached}  failed {self.broken}  {elapsed:.0f} s"
        head.add_row(ProgressBar(total=self.total, completed=done, width=30), counts)
        rows = Table.grid(padding=(0, 1))
        for label, since in sorted(set(self.running.values()), key=lambda entry: entry[1]):
            rows.add_row(Spinner("dots"), label, f"{time.monotonic() - since:.0f} s")
        return Group(head, rows)

    def _say(self, text: str) -> None:
        if not self.terminal.quiet:
            self.terminal.console.print(text, highlight=False)


def _line(title: str, said: str, start: float) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(Spinner("dots"), title, f"[dim]{time.monotonic() - start:.0f} s[/]", escape(said))
    return row

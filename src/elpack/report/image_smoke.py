"""What the user reads about images that were tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from elpack.steps.images.smoke import ImageSmokeReport


def tried_lines(report: ImageSmokeReport) -> str:
    """Return which image was tried, how it was reached, and where its logs are."""
    how = f"reached by the {report.network} network, " if report.network else ""
    where = "emulated, " if report.emulated else ""
    return f"{report.digest}\n{where}{how}{report.seconds:.0f} s, logs in {report.logs}"


def tried_table(report: ImageSmokeReport) -> Table:
    """Return the steps of one image, how each went, and in which time."""
    table = Table(box=None)
    table.add_column("step")
    table.add_column("result")
    table.add_column("seconds", justify="right")
    for step in report.steps:
        table.add_row(step.name, f"[green]{step.status}[/]", f"{step.seconds:.1f}")
    return table

"""The commands that look for what is missing or weak: audit wheels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Json, LayoutName, Offline, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import console_on, print_json, show, stdout

WIDE = 190
"""Columns of a terminal from which on both architectures stand in one table."""

audit = typer.Typer(
    name="audit",
    help="Look for what is missing.\n\nExample: elpack audit wheels",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
commands = typer.Typer()
commands.add_typer(audit)


@audit.callback()
def _group() -> None:
    """Stay a group with a single command in it."""


@audit.command(epilog="Example: elpack audit wheels --page wheels.html")
@guarded
def wheels(
    file: ReleaseFile = Path("elpack.toml"),
    interpreter: Annotated[
        list[str] | None,
        typer.Option(help="Such as cp313 or pp311, may be given again; else those of [wheels] and the targets."),
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(help="Architecture, may be given again; else those of [wheels] and the targets."),
    ] = None,
    musllinux: Annotated[bool, typer.Option("--musllinux", help="Systems with musl, too.")] = False,
    layout: LayoutName = "",
    offline: Offline = False,
    everything: Annotated[bool, typer.Option("--all", help="Show dists with a wheel for every machine, too.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page into this file.", metavar="FILE")] = None,
    compare: Annotated[
        bool, typer.Option("--check", help="Fail when a dist cannot be had for one of the release's targets.")
    ] = False,
    as_json: Json = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
) -> None:
    """Show how each dist of the closure can be had, for each interpreter and architecture; builds nothing."""
    from elpack.atomic import write_text
    from elpack.errors import PlanError
    from elpack.model import ARCHES, Layout
    from elpack.report.availability import matrix_page, matrix_tables
    from elpack.steps.audit import Wanted, audit_wheels
    from elpack.wheels.model import INTERPRETERS

    if unknown := [one for one in interpreter or () if one not in INTERPRETERS]:
        raise typer.BadParameter(f"no such interpreter: {unknown[0]}; one of: {', '.join(INTERPRETERS)}")
    if unknown := [one for one in arch or () if one not in ARCHES]:
        raise typer.BadParameter(f"no such architecture: {unknown[0]}; one of: {', '.join(ARCHES)}")
    if layout and layout not in set(Layout):
        raise typer.BadParameter(f"no such layout: {layout}; one of: {', '.join(Layout)}")
    wanted = Wanted(
        tuple(INTERPRETERS[one] for one in interpreter or ()),
        tuple(arch or ()),
        musl=musllinux,
        layout=Layout(layout) if layout else None,
    )
    found = audit_wheels(workspace_of(file, work, dist), wanted, offline=offline)
    for notice in found.notices:
        console_on(sys.stderr).print(f"! {notice}", markup=False, highlight=False)
    if page is not None:
        write_text(page, matrix_page(found.matrix))
    if as_json:
        print_json(found.matrix.as_json())
    elif page is not None:
        show(str(page))
    else:
        terminal = stdout()
        narrow = terminal.is_terminal and terminal.width < WIDE
        for part in matrix_tables(found.matrix, everything=everything, narrow=narrow):
            show(part)
    if compare and (problems := found.matrix.problems()):
        raise PlanError(*problems)

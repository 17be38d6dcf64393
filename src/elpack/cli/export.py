"""The command that gives the application's lock to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.atomic import write_text
from elpack.cli.guard import guarded
from elpack.cli.options import Arch, LayoutName, Offline, Quiet, ReleaseFile, TargetName, session_of
from elpack.report.console import show

commands = typer.Typer()


@commands.command(epilog="Example: elpack export --target el9 --output pylock.toml")
@guarded
def export(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file.", show_default=True)] = Path("pylock.toml"),
    compare: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file differs.")] = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Write what the application's lock selects for a target as pylock.toml (PEP 751), for pip, uv and others."""
    from elpack.errors import LockError, Problem
    from elpack.pipeline import carry_out
    from elpack.steps.export import differs, exported

    session = session_of(file, target=target, arch=arch, layout=layout, offline=offline, quiet=quiet)
    carry_out(session, "read")
    text, count = exported(session, output.resolve().parent)
    if compare:
        if why := differs(output, text):
            raise LockError(Problem(why, str(output), fix=f"elpack export --output {output}"))
        return
    write_text(output, text)
    if not quiet:
        show(f"{output}: {count} dists for {session.target}")

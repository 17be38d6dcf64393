"""The command line. Only this package ends the process, and only here does an error become text."""

from __future__ import annotations

from typing import Annotated

import typer

from elpack import __version__
from elpack.cli import (
    airgap,
    audit,
    build,
    export,
    image,
    look,
    project,
    publish,
    sbom,
    signing,
    universe,
    verify,
    wheel,
    worker,
)

app = typer.Typer(
    name="elpack",
    help="Turn a Python application and its uv.lock, or a library, into Enterprise Linux packages.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (
    airgap,
    audit,
    build,
    export,
    look,
    project,
    publish,
    sbom,
    signing,
    universe,
    verify,
    image,
    wheel,
    worker,
):
    app.add_typer(module.commands)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"elpack {__version__}")  # noqa: T201
        raise typer.Exit


def main() -> None:
    """Run the command line. Exit codes: 0, 2 for wrong usage, and those of `elpack.errors`."""
    app()

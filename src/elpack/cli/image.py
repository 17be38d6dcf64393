"""The commands around images; each file `image_*.py` brings one to the sub-application."""

from __future__ import annotations

import typer

commands = typer.Typer()
image = typer.Typer(
    name="image",
    help="Make, try and push images of the application.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

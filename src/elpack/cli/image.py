"""The commands around images: one file for each, whose commands are mounted here below `elpack image`."""

from __future__ import annotations

import typer

from elpack.cli import image_build, image_index, image_pin, image_push, image_smoke

image = typer.Typer(
    name="image",
    help="Make, try and push images of the application.\n\nExample: elpack image build",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (image_build, image_index, image_pin, image_push, image_smoke):
    image.add_typer(module.commands)

commands = typer.Typer()
commands.add_typer(image)

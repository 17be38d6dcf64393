"""The commands around wheels: one file for each, whose commands are mounted here below `elpack wheel`."""

from __future__ import annotations

import typer

from elpack.cli import wheel_build, wheel_judge, wheel_test

wheel = typer.Typer(
    name="wheel",
    help="Build, judge and try wheels and sdists of the first-party packages.\n\nExample: elpack wheel verify",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (wheel_build, wheel_judge, wheel_test):
    wheel.add_typer(module.commands)

commands = typer.Typer()
commands.add_typer(wheel)

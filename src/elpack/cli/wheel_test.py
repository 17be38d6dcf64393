"""The command that tries wheels and sdists: wheel test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.builders.emulation import MACHINE
from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Json, Offline, Quiet, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import print_json, show

commands = typer.Typer()

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="Wheels, sdists and folders of them; else all in dist/wheels.", metavar="FILES"),
]
Packages = Annotated[list[str] | None, typer.Option("--package", help="Only this one; may be given several times.")]
Interpreters = Annotated[
    list[str] | None,
    typer.Option("--interpreter", help="Only this one, such as cp312; may be given several times."),
]
Pythons = Annotated[
    list[Path] | None,
    typer.Option("--python", help="An interpreter that PATH does not lead to; may be given several times."),
]


@commands.command("test", epilog="Example: elpack wheel test --package txaio --interpreter cp311")
@guarded
def try_wheels(
    files: Files = None,
    file: ReleaseFile = Path("elpack.toml"),
    package: Packages = None,
    interpreter: Interpreters = None,
    python: Pythons = None,
    arch: Annotated[str, typer.Option(help="Architecture; another one than this machine's needs --standin.")] = MACHINE,
    standin: Annotated[
        bool, typer.Option("--standin", help="Interpreters that are not here: those of the stand-in manylinux image.")
    ] = False,
    compile_it: Annotated[bool, typer.Option("--compile", help="Compile the machine code of sdists, too.")] = False,
    suites: Annotated[bool, typer.Option("--suites/--no-suites", help="Run the packages' own tests.")] = True,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
) -> None:
    """Install wheels and sdists on each interpreter that is here, import and start them, run their own tests."""
    from elpack.report.tried import tried_json, tried_table
    from elpack.steps.alone import alone
    from elpack.steps.wheels.trial import refuse_failed
    from elpack.steps.wheels.trials import Wanted, try_release

    workspace = workspace_of(file, work, dist)
    wanted = Wanted(
        files=tuple(files or ()),
        packages=tuple(package or ()),
        interpreters=tuple(interpreter or ()),
        pythons=tuple(python or ()),
        standin=standin,
        arch=arch,
        compile=compile_it,
        suites=suites,
        offline=offline,
    )
    with alone(workspace):
        trials = try_release(workspace, wanted, (lambda _: None) if quiet or as_json else show)
    if as_json:
        print_json(tried_json(trials))
    elif not quiet:
        show(tried_table(trials))
    refuse_failed(trials)

"""The commands that make wheels: wheel files, which writes what cibuildwheel reads, and wheel build."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Json, Offline, Quiet, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import console_on, print_json, show

commands = typer.Typer()


class ImageChoice(StrEnum):
    """Where machine code is compiled."""

    AUTO = "auto"
    MANYLINUX = "manylinux"
    STANDIN = "standin"


Packages = Annotated[list[str] | None, typer.Option("--package", help="Of these packages only.")]
Interpreters = Annotated[list[str] | None, typer.Option("--interpreter", help="For these only, such as cp313.")]
Arches = Annotated[list[str] | None, typer.Option("--arch", help="For these architectures only.")]
Policies = Annotated[list[str] | None, typer.Option("--policy", help="For these platforms only.")]


@commands.command(epilog="Example: elpack wheel files --check")
@guarded
def files(
    file: ReleaseFile = Path("elpack.toml"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a committed file differs.")] = False,
    offline: Offline = False,
    work: WorkFolder = None,
    quiet: Quiet = False,
) -> None:
    """Write wheels/<package>/<platform>.toml, by which cibuildwheel builds each package with machine code."""
    from elpack.run import run
    from elpack.steps.project import read_project
    from elpack.steps.wheels.build import sdists_of
    from elpack.steps.wheels.files import write_configurations

    workspace = workspace_of(file, work)
    project = read_project(workspace)
    sdists = sdists_of(project, workspace, run, offline=offline)
    binary = [name for name, (facts, _) in sdists.items() if facts.native]
    count = write_configurations(project.release, binary, workspace, compare=check)
    if not quiet:
        show(f"{count} configurations {'are up to date' if check else 'written'} for {', '.join(binary) or 'nothing'}")


@commands.command(epilog="Example: elpack wheel build --package autobahn --interpreter cp313 --image standin")
@guarded
def build(
    file: ReleaseFile = Path("elpack.toml"),
    package: Packages = None,
    interpreter: Interpreters = None,
    arch: Arches = None,
    policy: Policies = None,
    image: Annotated[
        ImageChoice,
        typer.Option(help="manylinux: PyPA's, pulled. standin: made here, of Debian and zig. auto: what there is."),
    ] = ImageChoice.AUTO,
    again: Annotated[bool, typer.Option("--again", help="Build even what is there.")] = False,
    offline: Offline = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build wheels of the first-party packages into dist/wheels: what is missing of them."""
    from elpack.errors import WheelError
    from elpack.report.wheels import wheels_json, wheels_table
    from elpack.run import run
    from elpack.steps.alone import alone
    from elpack.steps.wheels.build import WantedWheels, build_wheels
    from elpack.steps.wheels.closed import closed

    workspace = workspace_of(file, work, dist)
    wanted = WantedWheels(
        packages=tuple(package or ()),
        interpreters=tuple(interpreter or ()),
        arches=tuple(arch or ()),
        policies=tuple(policy or ()),
        standin=None if image is ImageChoice.AUTO else image is ImageChoice.STANDIN,
        again=again,
        offline=offline,
    )
    progress = console_on(sys.stderr)
    with alone(workspace):
        results = build_wheels(
            workspace,
            wanted,
            lambda text: None if quiet or as_json else progress.print(text, markup=False, highlight=False),
            run,
        )
    if as_json:
        print_json(wheels_json(results))
    elif not quiet:
        show(wheels_table(results))
    problems = [problem for one in results for problem in one.problems]
    if problems := [*problems, *closed(wanted, [one.cell for one in results])]:
        raise WheelError(*problems)

"""The command that puts images of all architectures together: image index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Json, Quiet, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import console_on, print_json, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack image index --target el9")
@guarded
def index(
    file: ReleaseFile = Path("elpack.toml"),
    target: Annotated[str, typer.Option("--target", "-t", help="Only this target's images.")] = "",
    work: WorkFolder = None,
    dist: DistFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the images of all architectures of a target into one archive, with the index that a push gives them."""
    from elpack.report.images import joined_json, joined_lines
    from elpack.report.terminal import Terminal
    from elpack.run import run
    from elpack.steps.alone import alone
    from elpack.steps.images.joint import join_images
    from elpack.steps.images.ready import Wanted, ready_images
    from elpack.steps.project import read_project
    from elpack.steps.sign import THROWAWAY, signer

    workspace = workspace_of(file, work, dist)
    release = read_project(workspace).release
    screen = Terminal(console_on(sys.stderr), quiet=quiet or as_json)
    with alone(workspace), screen.phase("Put images together") as say:
        images = ready_images(workspace.dist, release, Wanted(target), snapshot=True)
        by = signer(release.signing, workspace, run)
        if by.throwaway:
            screen.notice(THROWAWAY)
        made = join_images(workspace.dist, images, by, say)
        again = sum(not one.cached for one in made)
        say(f"{again} made" if again else f"nothing to do: all {len(made)} there")
    if as_json:
        print_json(joined_json(made, workspace.dist))
    elif not quiet:
        show(joined_lines(made))

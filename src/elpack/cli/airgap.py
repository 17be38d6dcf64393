"""The command that makes what is carried to hosts without network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    DistFolder,
    LayoutName,
    Offline,
    Quiet,
    ReleaseFile,
    TargetName,
    WorkFolder,
    workspace_of,
)
from elpack.report.console import console_on, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack airgap --target el9 --with-base")
@guarded
def airgap(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    with_base: Annotated[
        bool, typer.Option("--with-base", help="Also the target's own packages that a minimal host lacks; needs root.")
    ] = False,
    offline: Offline = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Pack what was built and signed for hosts without network: one archive, and the fingerprints to carry apart."""
    from elpack.errors import PublishError
    from elpack.manifest import named
    from elpack.report.terminal import Terminal
    from elpack.run import run
    from elpack.steps.airgap import Wish, deliver
    from elpack.steps.project import read_project
    from elpack.steps.sign import THROWAWAY

    workspace = workspace_of(file, work, dist)
    release = read_project(workspace).release
    folders = named(workspace.dist, target, arch, layout or release.layout, PublishError, packages=True)
    screen = Terminal(console_on(sys.stderr), quiet=quiet)
    if release.signing.key is None:
        screen.notice(THROWAWAY)
    with screen.phase("Pack for hosts without network") as say:
        made = deliver(release, workspace, Wish(folders, with_base, offline), run, say)
        say(", ".join(f"{one.archive.name}: {one.packages} RPMs, {one.size / 1e6:.0f} MB" for one in made))
    show("\n".join(one.text for one in made))

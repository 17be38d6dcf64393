"""The command that publishes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Quiet, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import console_on, show

if TYPE_CHECKING:
    from elpack.steps.publish.run import Published

commands = typer.Typer()


@commands.command(epilog="Example: elpack publish /srv/www/shop")
@guarded
def publish(
    to: Annotated[str, typer.Argument(help="A folder, or what rsync reaches: host:path or rsync://host/module.")],
    file: ReleaseFile = Path("elpack.toml"),
    target: Annotated[str, typer.Option("--target", "-t", help="Publish only this target's results.")] = "",
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Into snapshots/, where throwaway keys and the stand-in may go.")
    ] = False,
    keep: Annotated[
        int,
        typer.Option(min=0, help="Publications that stay, never without the current one and the one before; 0: all."),
    ] = 0,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Point to an earlier publication: the one before, or that of --id.")
    ] = False,
    publication: Annotated[str, typer.Option("--id", help="For --rollback: which publication.", metavar="ID")] = "",
    only_list: Annotated[bool, typer.Option("--list", help="Only show what is published there.")] = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Publish what was built and signed: all of it at once, or nothing."""
    from elpack.report.publish import listing_table, published_text
    from elpack.report.terminal import Terminal
    from elpack.run import run
    from elpack.steps.project import read_project
    from elpack.steps.publish import Wish, listing, roll_back
    from elpack.steps.publish import publish as publish_results

    _refuse_contradictions(rollback=rollback, only_list=only_list, publication=publication)
    workspace = workspace_of(file, work, dist)
    release = read_project(workspace).release
    if only_list:
        show(listing_table(listing(workspace, to, run)))
        return
    wish = Wish(to, target, snapshot, keep)
    screen = Terminal(console_on(sys.stderr), quiet=quiet)
    done: Published
    if rollback:
        with screen.phase("Roll back") as say:
            done = roll_back(release, workspace, wish, publication, run)
            say(done.id)
    else:
        if snapshot:
            screen.notice("A SNAPSHOT: not for EL9 hosts that matter; it goes beside the releases, not into them")
        with screen.phase("Publish") as say:
            done = publish_results(release, workspace, wish, run, say)
            say(done.id)
    if not quiet:
        show(published_text(done, to, wish.line))


def _refuse_contradictions(*, rollback: bool, only_list: bool, publication: str) -> None:
    """Raise `typer.BadParameter` where a forgotten option would publish what was not meant."""
    if publication and not rollback:
        raise typer.BadParameter("--id belongs to --rollback")
    if rollback and only_list:
        raise typer.BadParameter("--list only shows; leave out --rollback")

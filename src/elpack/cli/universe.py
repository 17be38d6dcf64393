"""The command that makes everything that a release has: universe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    BuilderName,
    EachArch,
    Json,
    KeepGoing,
    Offline,
    Quiet,
    ReleaseFile,
    TargetName,
    Unsigned,
    WayName,
    Workers,
    WorkFolder,
    session_of,
)
from elpack.report.console import print_json, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack universe --target el9-standin --carrier sdist --carrier rpm")
@guarded
def universe(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: EachArch = "",
    carrier: Annotated[
        list[str] | None,
        typer.Option(help="sdist, wheel, rpm or image, may be given again; else all that the release has."),
    ] = None,
    way: WayName = None,
    builder: BuilderName = "auto",
    workers: Workers = 0,
    keep_going: KeepGoing = False,
    offline: Offline = False,
    unsigned: Unsigned = False,
    work: WorkFolder = None,
    dist: Annotated[
        Path | None,
        typer.Option("--dist", help="Where the results go; else dist-universe beside the release file.", metavar="DIR"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make sdists, wheels, RPMs and images of all first-party packages; only what changed, and what depends on it."""
    from elpack.report.universe import universe_json, universe_parts
    from elpack.steps.checkouts import UNIVERSE
    from elpack.universe import Carrier, build_universe

    if unknown := [one for one in carrier or () if one not in set(Carrier)]:
        raise typer.BadParameter(f"no such carrier: {unknown[0]}; one of: {', '.join(Carrier)}")
    session = session_of(
        file,
        target=target,
        arch=arch,
        builder=builder,
        workers=workers,
        keep_going=keep_going,
        offline=offline,
        unsigned=unsigned,
        work=work,
        dist=dist or file.resolve().parent / UNIVERSE,
        quiet=quiet or as_json,
        way=way,
    )
    made = build_universe(session, [Carrier(one) for one in carrier or ()])
    if as_json:
        print_json(universe_json(made))
    elif not quiet:
        for part in universe_parts(made):
            show(part)
    made.check()

"""The command that judges wheels and sdists: wheel verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Json, ReleaseFile, WorkFolder, workspace_of
from elpack.report.console import print_json, show

commands = typer.Typer()

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="Wheels, sdists and folders of them; else all in dist/wheels.", metavar="FILES"),
]
Checkout = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkout", help="A checkout that an sdist is held against; may be given several times.", metavar="DIR"
    ),
]


@commands.command(epilog="Example: elpack wheel verify dist/wheels --json | jq '.files[].deserved'")
@guarded
def verify(
    files: Files = None,
    file: ReleaseFile = Path("elpack.toml"),
    checkout: Checkout = None,
    as_json: Json = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
) -> None:
    """Judge wheels and sdists: whether they keep what their names promise, and whether an index may have them."""
    from elpack.report.judged import judged_json, judged_table, notices
    from elpack.run import run
    from elpack.steps.wheels.completeness import checkouts_of
    from elpack.steps.wheels.judge import Bench, found_in, refuse
    from elpack.steps.wheels.judges import Judges, policies

    workspace = workspace_of(file, work, dist)
    judges = Judges(run)
    judges.need()
    own = workspace.dist / "wheels"
    known = checkouts_of(workspace, tuple(checkout or ()), run)
    judgements = Bench(judges, policies(), own, known).judge(found_in(files or [own]))
    if as_json:
        print_json(judged_json(judgements))
    else:
        show(judged_table(judgements))
        for text in notices(judgements):
            show(text)
    refuse(judgements)

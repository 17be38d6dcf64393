"""The command that builds for another machine: worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.report.console import console_on

commands = typer.Typer()

WorkerFolder = Annotated[
    Path | None, typer.Option("--work", help="The work folder; else ~/.cache/elpack-worker.", metavar="DIR")
]
Emulated = Annotated[bool, typer.Option("--emulated", help="Take jobs for other architectures than this machine's.")]


@commands.command(epilog="Example: elpack worker --work /srv/elpack, word by word under [builds.workers]")
@guarded
def worker(work: WorkerFolder = None, emulated: Emulated = False) -> None:
    """Build one job for another machine: it comes on standard input, its RPMs go to standard output."""
    from elpack.steps.worker import Worker, cancelled_by

    console = console_on(sys.stderr)

    def say(text: str) -> None:
        console.print(f"worker: {text}", markup=False, highlight=False)

    folder = (work or Path.home() / ".cache" / "elpack-worker").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # whatever prints to standard output must not come between the bytes of the answer
    with os.fdopen(os.dup(1), "wb") as answer, os.fdopen(os.dup(0), "rb") as job:
        os.dup2(2, 1)
        with cancelled_by(job.fileno()) as done:
            Worker(folder, say, emulated=emulated).serve(job, answer, done)

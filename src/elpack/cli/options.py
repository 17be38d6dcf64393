"""What several commands can be told, and the session that comes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.model import Way
from elpack.report.console import console_on
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from elpack.session import Session

ReleaseFile = Annotated[Path, typer.Option("--file", "-f", help="The release file.", show_default=True)]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help="A target of the release file; else the first that can be reached.")
]
Arch = Annotated[str, typer.Option(help="Architecture; else this machine's.")]
EachArch = Annotated[
    str, typer.Option("--arch", help="Architecture, or all that the release names; else this machine's.")
]
WayName = Annotated[
    Way | None, typer.Option("--way", help="How another architecture's code is compiled; else what the release says.")
]
LayoutName = Annotated[str, typer.Option("--layout", "-l", help="stack, bundle or system; else the release's own.")]
BuilderName = Annotated[str, typer.Option("--builder", help="auto, mock or bwrap.")]
Distribution = Annotated[
    str, typer.Option(help="mock's EL9: centos-stream-9, alma-9, rocky-9 or rhel-9, each also with +epel.")
]
Workers = Annotated[int, typer.Option(min=0, help="Builds at the same time; 0: one per core, as far as memory goes.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="After a failure, build what does not depend on it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Take what was fetched before; connect to nothing.")]
WorkFolder = Annotated[
    Path | None, typer.Option("--work", help="The work folder; else .elpack beside the release file.", metavar="DIR")
]
DistFolder = Annotated[
    Path | None, typer.Option("--dist", help="Where the results go; else dist beside the release file.", metavar="DIR")
]
Preload = Annotated[
    Path | None,
    typer.Option(help="A library that all programs of a build load first, as verify --rebuild does.", metavar="FILE"),
]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="Sign nothing; `elpack sign` does it later, elsewhere.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def workspace_of(file: Path, work: Path | None = None, dist: Path | None = None) -> Workspace:
    """Return where the work on a release file is done and its results lie: beside it, unless told otherwise."""
    home = file.resolve().parent
    return Workspace(
        file.resolve(), work.resolve() if work else home / ".elpack", dist.resolve() if dist else home / "dist"
    )


def session_of(
    file: Path,
    *,
    target: str = "",
    arch: str = "",
    layout: str = "",
    builder: str = "auto",
    distribution: str = "",
    workers: int = 0,
    keep_going: bool = False,
    offline: bool = False,
    again: bool = False,
    quiet: bool = False,
    unsigned: bool = False,
    work: Path | None = None,
    dist: Path | None = None,
    preload: Path | None = None,
    way: Way | None = None,
) -> Session:
    """Return a session for the release file, which tells its progress on the terminal."""
    from elpack.report.terminal import Terminal
    from elpack.session import Options, Session

    options = Options(
        target,
        arch,
        layout,
        builder,
        distribution,
        workers,
        keep_going,
        offline,
        again,
        unsigned=unsigned,
        preload=preload,
        way=way,
    )
    return Session(workspace_of(file, work, dist), options, Terminal(console_on(sys.stderr), quiet=quiet))

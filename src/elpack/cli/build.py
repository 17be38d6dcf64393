"""The commands that build: rpm-all, rpm, and smoke, which builds what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    BuilderName,
    DistFolder,
    Distribution,
    EachArch,
    KeepGoing,
    LayoutName,
    Offline,
    Preload,
    Quiet,
    ReleaseFile,
    TargetName,
    Unsigned,
    WayName,
    Workers,
    WorkFolder,
    session_of,
)
from elpack.report.console import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.session import Session

commands = typer.Typer()


def _builds_up_to(last: str) -> Callable[..., None]:
    """Return a command that runs the pipeline to its step `last`."""

    @guarded
    def command(
        file: ReleaseFile = Path("elpack.toml"),
        target: TargetName = "",
        arch: EachArch = "",
        way: WayName = None,
        layout: LayoutName = "",
        builder: BuilderName = "auto",
        distribution: Distribution = "",
        workers: Workers = 0,
        keep_going: KeepGoing = False,
        offline: Offline = False,
        unsigned: Unsigned = False,
        work: WorkFolder = None,
        dist: DistFolder = None,
        preload: Preload = None,
        quiet: Quiet = False,
    ) -> None:
        from elpack.each_arch import carry_out_each

        session = session_of(
            file,
            target=target,
            arch=arch,
            layout=layout,
            builder=builder,
            distribution=distribution,
            workers=workers,
            keep_going=keep_going,
            offline=offline,
            unsigned=unsigned,
            work=work,
            dist=dist,
            preload=preload,
            quiet=quiet,
            way=way,
        )
        for one in carry_out_each(session, last):
            if not quiet:
                _summary(one)

    return command


commands.command(
    "rpm-all",
    help="Do it all: plan, build, install in a clean root, smoke-test.",
    epilog="Example: elpack rpm-all --target el9-standin",
)(_builds_up_to("install"))

commands.command(
    "rpm",
    help="Build all RPMs and the repository, without installing them.",
    epilog="Example: elpack rpm --keep-going",
)(_builds_up_to("repository"))


@commands.command(epilog="Example: elpack smoke --target el9-standin")
@guarded
def smoke(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    way: WayName = None,
    layout: LayoutName = "",
    work: WorkFolder = None,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Install what is built into a clean root and smoke-test it; builds only what is missing."""
    from elpack.pipeline import carry_out

    session = session_of(
        file, target=target, arch=arch, way=way, layout=layout, again=True, work=work, dist=dist, quiet=quiet
    )
    carry_out(session, "install")
    if not quiet:
        _smoke_table(session)


def _summary(session: Session) -> None:
    from elpack.report.tables import summary

    show(summary(session))
    _smoke_table(session)
    show(f"repository: {session.repository}\nmanifest:   {session.output / 'manifest.json'}")


def _smoke_table(session: Session) -> None:
    from elpack.report.tables import smoke_table

    if session.smoke is not None:
        show(smoke_table(session.smoke))

"""The commands that make images: image build, and image files, which writes their Containerfiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    BuilderName,
    DistFolder,
    Json,
    Offline,
    Quiet,
    ReleaseFile,
    TargetName,
    Unsigned,
    Workers,
    WorkFolder,
    session_of,
)
from elpack.images.model import Flavour, Mode
from elpack.report.console import print_json, show

if TYPE_CHECKING:
    from elpack.steps.images.build import BuiltImage

Flavours = Annotated[
    list[Flavour] | None, typer.Option("--flavour", help="uv or rpm, may be given twice; else what the release says.")
]

commands = typer.Typer()


@commands.command(epilog="Example: elpack image build --flavour uv --target el9-standin")
@guarded
def build(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    flavour: Flavours = None,
    mode: Annotated[
        Mode | None, typer.Option(help="host or container: where uv works for flavour uv; else what the release says.")
    ] = None,
    builder: BuilderName = "auto",
    workers: Workers = 0,
    offline: Offline = False,
    unsigned: Unsigned = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the images of the application, after building what is missing of its RPMs and their repository."""
    from elpack.engine.connect import need_podman
    from elpack.pipeline import Step, carry_out, signed_repository
    from elpack.steps.images.build import build_images

    session = session_of(
        file,
        target=target,
        arch=arch,
        builder=builder,
        workers=workers,
        offline=offline,
        unsigned=unsigned,
        work=work,
        dist=dist,
        quiet=quiet or as_json,
    )
    need_podman()  # told now, not after the RPMs were built
    made: list[BuiltImage] = []
    step = Step(
        "images",
        "Make images",
        lambda session, say: made.extend(
            build_images(session, flavour or (), mode, say, repository=lambda: signed_repository(session))
        ),
        root=True,
    )
    carry_out(session, "repository", step)
    _tell(made, session.output, as_json=as_json, quiet=quiet)


@commands.command(epilog="Example: elpack image local --target el9-standin")
@guarded
def local(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    builder: BuilderName = "auto",
    workers: Workers = 0,
    offline: Offline = False,
    work: WorkFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the image of flavour uv for this machine alone: in seconds, unsigned, not handed over."""
    from elpack.engine.connect import need_podman
    from elpack.pipeline import Step, build_only, carry_out
    from elpack.steps.images.build import build_local, wanted_of

    session = session_of(
        file,
        target=target,
        arch=arch,
        builder=builder,
        workers=workers,
        offline=offline,
        work=work,
        quiet=quiet or as_json,
    )
    need_podman()
    made: list[BuiltImage] = []
    step = Step("image", "Make the image", lambda session, say: made.append(build_local(session, say)), root=True)
    carry_out(session, "base", build_only(wanted_of), step)
    _tell(made, session.workspace.work, as_json=as_json, quiet=quiet)


def _tell(made: list[BuiltImage], folder: Path, *, as_json: bool, quiet: bool) -> None:
    from elpack.report.images import built_json, built_lines

    if as_json:
        print_json(built_json(made, folder))
    elif not quiet:
        show(built_lines(made))


@commands.command(epilog="Example: elpack image files --target el9 --arch aarch64 --check")
@guarded
def files(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    offline: Offline = False,
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a committed Containerfile differs.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write the Containerfiles of the images into containers/<target>/<architecture>/."""
    from elpack.pipeline import carry_out
    from elpack.steps.images.files import write_containerfiles

    session = session_of(file, target=target, arch=arch, offline=offline, quiet=quiet)
    carry_out(session, "plan")
    count = write_containerfiles(session, compare=compare)
    if not quiet:
        show(f"{count} Containerfiles {'are as committed' if compare else 'written'}")

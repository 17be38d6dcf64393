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
    EachArch,
    Json,
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
from elpack.images.model import Flavour, Mode
from elpack.model import EVERY_ARCH
from elpack.report.console import print_json, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.session import Session
    from elpack.steps.images.build import BuiltImage
    from elpack.steps.images.joint import Joined

Flavours = Annotated[
    list[Flavour] | None,
    typer.Option("--flavour", help="uv, rpm or pypy, may be given more than once; else what the release says."),
]

commands = typer.Typer()


@commands.command(epilog="Example: elpack image build --flavour uv --target el9-standin")
@guarded
def build(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: EachArch = "",
    way: WayName = None,
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
    from elpack.each_arch import carry_out_each
    from elpack.engine.connect import need_podman
    from elpack.pipeline import Step, carry_out, signed_repository
    from elpack.report.images import built_json, built_lines, joined_json, joined_lines
    from elpack.steps.images.build import build_images
    from elpack.steps.images.foreign import need_for_build
    from elpack.steps.images.pypy import check_pypy

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
        way=way,
    )
    need_podman()  # told now, not after the RPMs were built
    if Flavour.PYPY in (flavour or ()) and arch != EVERY_ARCH:  # told now as well, if the release does not name it
        carry_out(session, "plan", Step("pypy", "Look at what PyPy needs", lambda session, _: check_pypy(session)))
    made: dict[Path, list[BuiltImage]] = {}

    def action(session: Session, say: Callable[[str], None]) -> None:
        found = build_images(session, flavour or (), mode, say, repository=lambda: signed_repository(session))
        made[session.output] = list(found)

    step = Step(
        "images", "Make images", action, root=True, need=lambda session: need_for_build(session, flavour or (), mode)
    )
    sessions = carry_out_each(session, "repository", step)
    if len(sessions) == 1:
        folder = sessions[0].output
        _tell(made[folder], folder, as_json=as_json, quiet=quiet)
        return
    joined = () if unsigned else _joined(sessions[0])
    if as_json:
        built = {
            str(folder.relative_to(session.workspace.dist)): built_json(one, folder) for folder, one in made.items()
        }
        print_json({"images": built, "joined": joined_json(joined, session.workspace.dist)})
    elif not quiet:
        show("\n".join([*map(built_lines, made.values()), joined_lines(joined)]))


def _joined(session: Session) -> tuple[Joined, ...]:
    """Put the images of all architectures together, as `image index` does."""
    from elpack.pipeline import Step, carry_on
    from elpack.steps.images.joint import join_built

    made: list[Joined] = []
    action = lambda session, say: made.extend(join_built(session, say))  # noqa: E731
    carry_on(session, Step("index", "Put images together", action))
    return tuple(made)


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

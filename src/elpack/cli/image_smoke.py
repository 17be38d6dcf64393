"""The commands that run images: image smoke, which tries them, and image unit, which writes what runs them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import Arch, DistFolder, Json, Offline, Quiet, ReleaseFile, TargetName, WorkFolder, session_of
from elpack.images.model import Flavour
from elpack.report.console import print_json, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack image smoke --flavour rpm")
@guarded
def smoke(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    flavour: Annotated[
        list[Flavour] | None,
        typer.Option("--flavour", help="uv or rpm, may be given twice; else what the release says."),
    ] = None,
    image: Annotated[
        str, typer.Option(help="Try this image instead: registry/name[:tag][@digest].", metavar="REFERENCE")
    ] = "",
    offline: Offline = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the images as users will: hardened, reached from outside, stopped, and started again with the same volume."""
    from elpack.pipeline import carry_out
    from elpack.report.image_smoke import tried_lines, tried_table
    from elpack.steps.alone import alone
    from elpack.steps.images.tried import try_images

    session = session_of(file, target=target, arch=arch, offline=offline, work=work, dist=dist, quiet=quiet or as_json)
    carry_out(session, "plan")
    with alone(session.workspace, session.runner), session.screen.phase("Try images") as say:
        reports = try_images(session, flavour or (), image, say)
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    for report in () if quiet else reports:
        show(tried_lines(report))
        show(tried_table(report))


@commands.command(epilog="Example: elpack image unit /etc/containers/systemd --flavour rpm")
@guarded
def unit(
    directory: Annotated[Path, typer.Argument(help="Where the files are written.")],
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    flavour: Annotated[Flavour, typer.Option("--flavour", help="uv or rpm.")] = Flavour.UV,
    image: Annotated[
        str, typer.Option(help="The image; else where it is pushed, by its digest in dist.", metavar="REFERENCE")
    ] = "",
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Write a manifest for Kubernetes instead.")] = False,
    offline: Offline = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Write the Quadlet units by which systemd runs an image, or a manifest for Kubernetes."""
    from elpack.pipeline import carry_out
    from elpack.steps.images.units import write_units

    session = session_of(file, target=target, arch=arch, offline=offline, work=work, dist=dist, quiet=quiet)
    carry_out(session, "plan")
    written = write_units(session, directory, flavour=flavour, reference=image, for_kubernetes=kubernetes)
    if not quiet:
        show("\n".join(map(str, written)))

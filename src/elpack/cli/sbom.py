"""The command that lists what a release consists of: sbom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.atomic import write_text
from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    DistFolder,
    Json,
    LayoutName,
    Offline,
    ReleaseFile,
    TargetName,
    WorkFolder,
    session_of,
)
from elpack.report.console import show, stdout

commands = typer.Typer()


@commands.command(epilog="Example: elpack sbom --out crossbar.cdx.json")
@guarded
def sbom(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    offline: Offline = False,
    carrier: Annotated[
        bool, typer.Option("--carrier", help="With the RPMs of the layout, not the dists alone.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the CycloneDX document into this file.")] = None,
    as_json: Json = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
) -> None:
    """List what the release consists of, and what its wheels carry of others, without building anything."""
    from elpack.pipeline import carry_out
    from elpack.report.sbom import carried_table
    from elpack.sbom import carrier_sbom, release_sbom

    quiet = as_json and out is None
    session = session_of(
        file, target=target, arch=arch, layout=layout, offline=offline, quiet=quiet, work=work, dist=dist
    )
    carry_out(session, "plan")
    inputs = session.gathered.inputs
    if as_json or out is not None:
        text = carrier_sbom(session.plan, inputs) if carrier else release_sbom(session.plan, inputs)
        if out is not None:
            write_text(out, text)
            show(str(out))
        else:
            stdout().file.write(text)
    else:
        show(carried_table(session.plan, inputs))

"""elpack image pin: the digests of base images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import Json, ReleaseFile, workspace_of
from elpack.report.console import print_json, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack image pin python-slim")
@guarded
def pin(
    name: Annotated[str, typer.Argument(help="The base's name: python-slim, ubi9-minimal.")],
    reference: Annotated[
        str, typer.Argument(help="Where it is, host/path:tag; else where it was pinned before, or where it usually is.")
    ] = "",
    file: ReleaseFile = Path("elpack.toml"),
    as_json: Json = False,
) -> None:
    """Ask a registry what a base image is today, and write its digests into containers/bases.lock.toml."""
    from elpack.steps.images.pin import pin_base

    found = pin_base(workspace_of(file, None, None), name, reference)
    if as_json:
        print_json({"reference": found.reference, "index": found.index, "platforms": dict(found.platforms)})
        return
    show(f"{found.reference} is {found.index}")
    for arch, digest in sorted(found.platforms.items()):
        show(f"  {arch}  {digest}")

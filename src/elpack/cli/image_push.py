"""The command that pushes images: image push."""

from __future__ import annotations

import getpass
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import DistFolder, Quiet, ReleaseFile, WorkFolder, workspace_of
from elpack.images.model import Flavour
from elpack.report.console import console_on, show

if TYPE_CHECKING:
    from collections.abc import Callable

Flavours = Annotated[list[Flavour] | None, typer.Option("--flavour", help="Push only uv, or only rpm.")]

commands = typer.Typer()


@commands.command(epilog="Example: elpack image push --to registry.example.org/shop/app --dry-run")
@guarded
def push(
    file: ReleaseFile = Path("elpack.toml"),
    target: Annotated[str, typer.Option("--target", "-t", help="Push only this target's images.")] = "",
    arch: Annotated[
        list[str] | None,
        typer.Option(help="Push images of this architecture alone, may be given twice; else, or all: the release's."),
    ] = None,
    flavour: Flavours = None,
    to: Annotated[
        str, typer.Option(help="Repository, host[:port]/path; else that of the release file.", metavar="REPOSITORY")
    ] = "",
    key: Annotated[
        str, typer.Option(help="File of the private key; else that of the release file.", metavar="FILE")
    ] = "",
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with its passphrase; else COSIGN_PASSWORD, or asked.", metavar="FILE")
    ] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Push what throwaway keys signed, or what the stand-in is in.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look at what would be pushed.")] = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Push the images in dist to a registry, sign them, attest what is in them, and read all of it back."""
    from elpack.fetch.registry import repository_at
    from elpack.listed import ALL
    from elpack.report.images_pushed import outlook_line, pushed_lines
    from elpack.report.terminal import Terminal
    from elpack.steps.images.image_keys import image_key
    from elpack.steps.images.offers import THROWAWAY, offers, other_keys, refuse_throwaway, repository_of
    from elpack.steps.images.push import outlook
    from elpack.steps.images.push import push as push_image
    from elpack.steps.images.ready import Wanted
    from elpack.steps.project import read_project

    workspace = workspace_of(file, work, dist)
    release = read_project(workspace).release
    images, name = repository_of(release, to)
    screen = Terminal(console_on(sys.stderr), quiet=quiet)
    with screen.phase("Look at the images") as say:
        arches = () if ALL in (arch or ()) else arch or ()
        found = offers(workspace.dist, release, Wanted(target, flavour or (), arches), snapshot=snapshot)
        say(", ".join(offer.tag for offer in found))
    if dry_run:
        with repository_at(name) as repository:
            show("\n".join(outlook_line(outlook(offer, repository)) for offer in found))
        return
    signer = image_key(workspace, images, key, partial(_passphrase, passphrase_file))
    refuse_throwaway(signer, snapshot=snapshot)
    if signer.throwaway:
        screen.notice(THROWAWAY)
    for path in other_keys(workspace.dist, signer):
        screen.notice(f"{path} is another key than the one that signs: users need sha256:{signer.public.fingerprint}")
    with repository_at(name) as repository:
        for offer in found:
            with screen.phase(f"Push {offer.tag}") as say:
                done = push_image(offer, repository, signer, say)
                say(f"{done.sent >> 20} MB sent" if done.fresh else "it was there already")
            show(pushed_lines(done))


def _passphrase(file: Path | None, key: Path) -> bytes:
    """Return the passphrase of a key: out of a file, the environment, or what somebody types."""
    from elpack.steps.images.image_keys import PASSPHRASE, from_environment, from_file

    if file:
        return from_file(file)
    ask: Callable[[str], str] = getpass.getpass
    typed = PASSPHRASE not in os.environ and sys.stdin.isatty()
    return ask(f"Passphrase of {key}: ").encode() if typed else from_environment(key)

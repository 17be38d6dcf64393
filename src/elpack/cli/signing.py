"""The commands around signatures: keys, sign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    DistFolder,
    LayoutName,
    Quiet,
    ReleaseFile,
    TargetName,
    WorkFolder,
    workspace_of,
)
from elpack.report.console import console_on, show

commands = typer.Typer()


@commands.command(epilog="Example: elpack keys")
@guarded
def keys(file: ReleaseFile = Path("elpack.toml"), work: WorkFolder = None) -> None:
    """Show which keys sign, and whether they may; make the throwaway key of snapshots if there is none."""
    from elpack.report.signing import keys_table
    from elpack.run import run
    from elpack.steps.images.image_keys import shown_key
    from elpack.steps.keys import release_problems, throwaway_key
    from elpack.steps.project import read_project
    from elpack.steps.sign import THROWAWAY
    from elpack.tools.gpg import Keyring, user_home

    workspace = workspace_of(file, work)
    release = read_project(workspace).release
    signing = release.signing
    _, throwaway, made = throwaway_key(workspace, run)
    ring = Keyring(user_home(), run)
    judged = release_problems(signing, ring)
    if made:
        console_on(sys.stderr).print(
            f"! a key was made just now. What it signs is {THROWAWAY}", markup=False, highlight=False
        )
    of_images = shown_key(workspace, release.images) if release.images else None
    show(keys_table(signing, {key.fingerprint: key for key in ring.keys(secret=False)}, throwaway, judged, of_images))
    problems = [problem for found in judged.values() for problem in found]
    if problems := [*problems, *(of_images.problems if of_images else ())]:
        from elpack.errors import SigningError

        raise SigningError(*problems)


@commands.command(epilog="Example: elpack sign --key 0123456789ABCDEF0123456789ABCDEF01234567")
@guarded
def sign(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    key: Annotated[
        str, typer.Option(help="Fingerprint of the key; else that of the release file.", metavar="FINGERPRINT")
    ] = "",
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Sign only the metadata anew, such as before it expires.")
    ] = False,
    dist: DistFolder = None,
    quiet: Quiet = False,
) -> None:
    """Sign the results in dist: all targets and layouts, or the named ones. Without a release file --key is needed."""
    from elpack.errors import SigningError
    from elpack.manifest import named
    from elpack.report.terminal import Terminal
    from elpack.run import run
    from elpack.steps.keys import chosen
    from elpack.steps.resign import sign_results
    from elpack.steps.sign import release_signer
    from elpack.tools.gpg import Keyring, user_home

    workspace = workspace_of(file, None, dist)
    found = named(workspace.dist, target, arch, layout, SigningError, packages=True)
    signer = release_signer(chosen(workspace, key), Keyring(user_home(), run))
    with Terminal(console_on(sys.stderr), quiet=quiet).phase("Sign") as say:
        count = sign_results(workspace.dist, found, signer, say, metadata=metadata)
        say(f"{count} RPMs {'as they were' if metadata else 'signed'}, manifests: {len(found)}, by {signer.by}")

"""First-party sources that are checkouts or git tags: their sdists, made in a sandbox, the same for the same files."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.archives.repack import repack
from elpack.builders.limits import remove_recorded
from elpack.errors import BuildError, CommandError, Problem
from elpack.model import RemoteFile, Sha256
from elpack.run import Command
from elpack.steps.alone import SANDBOX
from elpack.steps.checkout_sandbox import CheckoutSandbox
from elpack.steps.lock import INDEX
from elpack.steps.lock_sandbox import LockSandbox
from elpack.store.lock import locked
from elpack.targets import known_targets

if TYPE_CHECKING:
    from elpack.config import FirstParty
    from elpack.run import Runner
    from elpack.workspace import Workspace


_OTHERS = ("wheels", "sdists", "universe.json")
"""Results that belong to no target."""

UNIVERSE = "dist-universe"
"""The folder of a universe's results beside the release file."""


def local_source(
    dist: FirstParty, workspace: Workspace, runner: Runner, *, index: str = INDEX, offline: bool = False
) -> tuple[RemoteFile, Path] | None:
    """Return the sdist of a checkout or git tag, freshly made, or None where the index is to be asked.

    Its build backend sees a copy of the checkout, programs and no network. Its build requirements come from the index.
    Raises `BuildError` when it gives no sdist, `ArchiveError` for one that no packer would make.
    """
    if not (dist.path or dist.git):
        return None
    # another command may clone or make it as well, or build from the one of before: what is finished is never changed
    with locked(workspace.work / "checkouts.lock"):
        tree = checkout(dist, workspace, runner)
        return _made(dist, tree.resolve(), workspace, runner, index, offline=offline) if tree else None


def _made(
    dist: FirstParty, tree: Path, workspace: Workspace, runner: Runner, index: str, *, offline: bool
) -> tuple[RemoteFile, Path]:
    into = workspace.work / "sdists" / dist.name / "new"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for record in (workspace.work / SANDBOX).glob("*.groups"):
        remove_recorded(record)  # of a run that was killed
    shutil.rmtree(workspace.work / SANDBOX, ignore_errors=True)
    sandbox = LockSandbox.here(runner, workspace.work / SANDBOX, os.environ)
    making = CheckoutSandbox(sandbox, workspace.work / "uv-cache", index, offline)
    copy = _copy(tree, workspace, dist.name)
    try:
        done = making.sdist(tree, copy, into, str(tree))
    finally:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.rmtree(sandbox.work, ignore_errors=True)
    # the backend may leave what it likes: a link is no sdist
    found = sorted(path for path in into.glob("*.tar.gz") if path.is_file() and not path.is_symlink())
    if done.returncode != 0 or len(found) != 1:
        what = f"no sdist can be made of the checkout {tree}\n{done.tail()}"
        raise BuildError(Problem(what, dist.name, fix=f"to see it outside of elpack: uv build --sdist {tree}"))
    path = found[0]
    repack(path)
    sha256 = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
    final = into.with_name(sha256) / path.name
    final.parent.mkdir(exist_ok=True)
    path.replace(final)
    return RemoteFile(final.name, "", sha256, final.stat().st_size), final


def checkout(dist: FirstParty, workspace: Workspace, runner: Runner) -> Path | None:
    """Return the folder of a dist's checkout, cloning a git tag if need be; None when there is none."""
    if dist.path:
        tree = workspace.home / dist.path
        return tree if (tree / "pyproject.toml").is_file() else None
    if dist.git:
        return _clone(dist, workspace, runner)
    return None


def _own_folders(workspace: Workspace, root: Path) -> list[Path]:
    """Return what elpack makes inside a checkout; a `dist` may hold files of the project as well.

    Where --work and --dist name other places, earlier runs' are in the usual ones still.
    """
    dists = {workspace.dist, workspace.home / "dist"}
    names = (*known_targets(), *_OTHERS, "manifest.json")
    own = {workspace.work, workspace.home / ".elpack", *(dist / name for dist in dists for name in names)}
    own.add(workspace.home / UNIVERSE)
    return [path for folder in sorted(own) if (path := folder.resolve()).is_relative_to(root)]


def _copy(tree: Path, workspace: Workspace, name: str) -> Path:
    """Return a copy of a checkout without its .git, its virtual environments and elpack's own folders.

    A backend may write into the copy. Some pack everything that git does not ignore, and to change the checkout's
    .gitignore would make it dirty, which is another version to setuptools-scm.
    """
    own = {tree / ".git", *_own_folders(workspace, tree)}
    copy = workspace.work / "trees" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)

    def left_out(folder: str, names: list[str]) -> list[str]:
        paths = [Path(folder, name) for name in names]
        return [path.name for path in paths if path in own or (path / "pyvenv.cfg").exists() or _is_special(path)]

    return Path(shutil.copytree(tree, copy, symlinks=True, ignore=left_out))


def _is_special(path: Path) -> bool:
    """Tell sockets and pipes, such as editors leave, and devices."""
    return not (path.is_symlink() or path.is_file() or path.is_dir())


def _clone(dist: FirstParty, workspace: Workspace, runner: Runner) -> Path:
    # by address and tag: a repository that moved is not the one that was cloned, and a tag may hold slashes
    source = hashlib.sha256(f"{dist.git} {dist.tag}".encode()).hexdigest()[:12]
    tree = workspace.work / "checkouts" / f"{dist.name}-{source}"
    if not tree.exists():
        # only a finished clone gets the final name
        partial = tree.with_name(f"{tree.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        argv = ("git", "clone", "--quiet", "--depth", "1", "--branch", dist.tag, "--", dist.git, str(partial))
        done = runner(Command(argv))
        if done.returncode != 0:
            raise CommandError(
                Problem(
                    f"git cannot fetch tag {dist.tag} of {dist.git}\n{done.tail(5)}",
                    where=f"elpack.toml: first-party.{dist.name}",
                )
            )
        partial.rename(tree)
    return tree

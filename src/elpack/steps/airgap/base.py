"""Finds which of the target's own packages an installation needs beyond a minimal host, by installing it there."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from elpack.builders import Repository
from elpack.builders.roots import Roots
from elpack.errors import InstallError, Problem
from elpack.steps.airgap.archive import member
from elpack.steps.base import base, choose_target
from elpack.tools.createrepo import create_repository
from elpack.tools.dnf import Dnf, folder, is_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from elpack.config import Release
    from elpack.listed import Manifest
    from elpack.run import Runner
    from elpack.steps.airgap.archive import Member
    from elpack.steps.sign import RememberingSigner
    from elpack.workspace import Workspace

_EPOCH = re.compile(r"-\d+:")


def base_packages(  # noqa: PLR0917 - the caller's own values, once
    release: Release,
    workspace: Workspace,
    manifest: Manifest,
    results: Path,
    install: Iterable[str],
    seal: RememberingSigner,
    scratch: Path,
    *,
    offline: bool,
    runner: Runner,
    say: Callable[[str], None],
) -> dict[str, Member]:
    """Return a signed repository below ``base/`` of what dnf adds to a minimal host beside our own packages.

    results: the folder with our own repository. Needs root. Raises `InstallError` when dnf refuses.
    """
    target, _ = choose_target(release, manifest.target, manifest.arch, offline=offline)
    repositories = base(target, workspace, say, offline=offline).repositories
    ours = Repository(manifest.release, str(results / "repo"), gpgkey=_key(results, manifest).as_uri())
    work = workspace.work / "roots"
    bare = Dnf(repositories, target.arch, str(target.el), work / "dnf", InstallError, runner)
    dnf = Dnf((*repositories, ours), target.arch, str(target.el), work / "dnf", InstallError, runner)
    dnf.forget((ours,))
    log = workspace.work / "airgap" / "dnf.log"
    log.unlink(missing_ok=True)
    say("find what a minimal host lacks")
    with Roots(bare, target.root, work, runner).clean_root() as root:
        done = dnf.install(root.path, install, log, "the clean root")
    own = {path.name for path in (results / "repo").glob("*.rpm")}
    wanted = sorted({f"{_EPOCH.sub('-', name)}.rpm" for name in done.packages} - own)
    known = _known(repositories, work / "dnf" / "cache")
    missing = [name for name in wanted if name not in known]
    if missing:
        what, fix = "dnf installed it, and its file is not there", "run it again, and let nothing clear dnf's cache"
        raise InstallError(*(Problem(what, where=name, fix=fix) for name in missing))
    scratch.mkdir()
    for name in wanted:
        shutil.copyfile(known[name], scratch / name)
    create_repository(scratch, runner)
    seal.file(scratch / "repodata" / "repomd.xml")
    found = (path for path in sorted(scratch.rglob("*")) if path.is_file())
    return {f"base/{path.relative_to(scratch)}": member(path) for path in found}


def _key(results: Path, manifest: Manifest) -> Path:
    return (results / f"RPM-GPG-KEY-{manifest.release}").absolute()


def _known(repositories: Iterable[Repository], cache: Path) -> dict[str, Path]:
    """Return the RPM files of repositories by name: those of folders, and what dnf keeps of the others."""
    places = [cache, *(folder(one) for one in repositories if is_folder(one))]
    return {path.name: path for place in places for path in sorted(place.rglob("*.rpm"))}

"""The target's own repositories: a real EL's where they answer, the stand-in's otherwise."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders import Repository
from elpack.errors import ConfigError, FetchError, Problem
from elpack.fetch.probe import answers, content
from elpack.intact import is_intact, remember
from elpack.model import EVERY_ARCH
from elpack.steps.alone import remove
from elpack.steps.standin import build_standin, standin_folder
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from elpack.config import Release
    from elpack.model import Target
    from elpack.workspace import Workspace

MACHINE = os.uname().machine


@dataclass(frozen=True, slots=True)
class Base:
    """Repositories that build roots and installation roots start from. `digest` changes when their content does."""

    repositories: tuple[Repository, ...]
    digest: str


def choose_target(release: Release, name: str, arch: str = "", *, offline: bool = False) -> tuple[Target, str]:
    """Return the target to work for, and a notice when it was not the first choice.

    Without a name it is the first target whose repositories answer; a stand-in needs none. Offline nobody is asked.
    Raises `ConfigError` when the release has no such target, or no such architecture was asked for.
    """
    choices = {choice.name: choice for choice in release.targets}
    if arch and not any(arch in choice.arches for choice in release.targets):
        known = dict.fromkeys(one for choice in release.targets for one in choice.arches)
        why = "this command takes one at a time" if arch == EVERY_ARCH else ""
        fix = f"--arch, one of: {', '.join(known)}"
        raise ConfigError(Problem(f"the release is not made for {arch}", "elpack.toml: targets", why, fix))
    arch = arch or MACHINE
    if name:
        if name not in choices:
            raise ConfigError(
                Problem(
                    f"the release has no target {name}",
                    where="elpack.toml: targets",
                    fix=f"one of: {', '.join(choices)}",
                )
            )
        return resolve_target(choices[name], arch), ""
    skipped: list[str] = []
    for choice in choices.values():
        if arch not in choice.arches:
            continue
        target = resolve_target(choice, arch)
        if target.standin or not (offline or any(not answers(_repomd(repo.url)) for repo in target.repositories)):
            why = f"no repository of {' or '.join(skipped)} answers, so the target is {target.title}" if skipped else ""
            return target, why
        skipped.append(target.title)
    raise FetchError(
        Problem(
            f"no target for {arch} can be reached: {', '.join(skipped) or 'none is named'}",
            where="elpack.toml: targets",
            fix="connect to the repositories, or add [targets.el9-standin]",
        )
    )


def _repomd(url: str) -> str:
    return f"{url}repodata/repomd.xml"


def base(
    target: Target,
    workspace: Workspace,
    progress: Callable[[str], None] | None = None,
    *,
    offline: bool = False,
    notice: Callable[[str], None] = lambda _: None,
) -> Base:
    """Return the target's repositories, making the stand-in's if need be, or if it was damaged, which is told.

    Raises `FetchError` for a real EL offline.
    """
    if target.standin:
        folder = standin_folder(target, workspace.work / "standin")
        drop_damaged([folder], notice)
        folder = build_standin(target, workspace.work / "standin", progress=progress)
        if not is_intact(folder):
            remember(folder)  # it was made just now
        repomd = (folder / "repodata" / "repomd.xml").read_bytes()
        return Base((Repository("standin", str(folder)),), hashlib.sha256(repomd).hexdigest())
    if offline:
        what = f"the repositories of {target.title} cannot be used without the network"
        raise FetchError(Problem(what, where=f"[targets.{target.name}]", fix="run without --offline"))
    repositories = tuple(Repository(repo.id, repo.url, gpgkey=repo.gpgkey) for repo in target.repositories)
    whole = hashlib.sha256()
    for repository in repositories:
        whole.update(content(_repomd(repository.location)))
    return Base(repositories, whole.hexdigest())


def drop_damaged(folders: Iterable[Path], notice: Callable[[str], None]) -> None:
    """Remove those folders that are not as they were when they were finished: they are made again."""
    for folder in folders:
        if folder.is_dir() and not is_intact(folder):
            notice(f"{folder}: was damaged, and is made again")
            remove(folder)


def existing_base(target: Target, workspace: Workspace) -> str:
    """Return the digest of a stand-in that was made before, or an empty string: nothing is made or asked for it."""
    if not target.standin:
        return ""
    repomd = standin_folder(target, workspace.work / "standin") / "repodata" / "repomd.xml"
    return hashlib.sha256(repomd.read_bytes()).hexdigest() if repomd.exists() else ""

"""Installs the application into a clean root as a customer would, has it smoke-tested, and removes it again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders.emulation import is_emulated, need_emulation, patience
from elpack.builders.roots import Roots
from elpack.errors import InstallError, Problem
from elpack.manifest import effective
from elpack.smoke import make_session, smoke_of, with_imports
from elpack.steps.smoke import smoke_root
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.builders.roots import CleanRoot
    from elpack.config import Release
    from elpack.model import Layout
    from elpack.plan.model import Plan
    from elpack.run import Runner
    from elpack.smoke import Smoke
    from elpack.steps.smoke import SmokeReport
    from elpack.tools.dnf import Transaction
    from elpack.workspace import Workspace

# What any installation and removal changes on a system: databases, caches, logs, account files and their backups.
_BOOKKEEPING = re.compile(
    r"/(var/lib/(rpm|dnf)|var/cache|var/log|run|tmp|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|etc/ld\.so\.cache"
    r"|etc/\.pwd\.lock|etc/\.updated|var/\.updated|usr/lib/sysimage)(/|$)"
)


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What dnf did. `table` is its transaction table; `seconds` its wall time; `left` what removal left behind."""

    installed: tuple[str, ...]
    seconds: float
    table: str
    left: tuple[str, ...]


def installed_root(
    release: Release,
    plan: Plan,
    base: Iterable[Repository],
    repository: Repository,
    workspace: Workspace,
    *,
    logs: Path,
    runner: Runner,
    progress: Callable[[str], None],
    untried: Collection[str] = (),
) -> tuple[InstallReport, SmokeReport | None]:
    """Install, smoke-test, remove; return both reports. A repository with a gpgkey is checked as customers check it.

    untried: modules that are to be imported first, because no build could.

    A root of another architecture is emulated, which `progress` says, and its smoke test is given more time.

    Raises `InstallError` when dnf refuses or removal leaves more than configuration and data, `SmokeError` when the
    application does not work, `ForeignArchError` when nothing here runs that architecture's programs.
    """
    base = tuple(base)
    work = workspace.work / "roots"
    target = plan.target
    need_emulation(target.arch)
    if is_emulated(target.arch):
        progress = _saying_emulated(progress)
    dnf = Dnf(base, target.arch, str(target.el), work / "dnf", InstallError, runner)
    roots = Roots(dnf, target.root, work, runner)
    ours = Dnf((*base, repository), target.arch, str(target.el), work / "dnf", InstallError, runner)
    ours.forget((repository,))  # and with its metadata the keys that an earlier run trusted
    wanted, names = plan.install, tuple(plan.by_node()[node].rpm for node in plan.roots)
    log = logs / "dnf-install.log"
    with roots.clean_root() as root:
        log.unlink(missing_ok=True)
        before = set(_files(root.path))
        progress(f"dnf install {' '.join(wanted)}")
        done = ours.install(root.path, wanted, log, "the clean root")
        must_be_ours(plan, done)
        smoke = _smoke(
            release, plan, with_imports(smoke_of(release, plan), untried), root, workspace, logs, runner, progress
        )
        progress(f"dnf remove {' '.join(names)}")
        ours.remove(root.path, names, logs / "dnf-remove.log", "the clean root")
        left = tuple(sorted(set(_files(root.path)) - before))
    report = InstallReport(done.packages, done.seconds, done.text, left)
    bad = [path for path in left if not _may_stay(path, release)]
    if bad:
        raise InstallError(Problem(f"dnf remove left behind: {', '.join(bad[:20])}", where=" ".join(names)))
    return report, smoke


def _saying_emulated(progress: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: progress(f"{text} (emulated)")


def must_be_ours(plan: Plan, done: Transaction) -> None:
    """Raise `InstallError` when dnf took a package of the target's own that has our name."""
    for package in (plan.by_node()[node] for node in plan.roots):
        if any(installed.startswith(f"{package.nvr}.") for installed in done.packages):
            continue
        what = f"dnf installed no {package.nvr}, but what the target itself calls {package.rpm}"
        raise InstallError(Problem(what, where="elpack.toml: application.rpm", fix="choose another name"))


def install_key(release: Release, layout: Layout, base: str, repository: Path, workspace: Workspace) -> str:
    """Return the digest of everything that installation and smoke test depend on.

    base: the digest of the target's own repositories. The repository's own metadata holds the digest of each RPM.
    """
    whole = hashlib.sha256(base.encode())
    whole.update((repository / "repodata" / "repomd.xml").read_bytes())
    settings = effective(release)
    parts = [settings[key] for key in ("application", "service", "smoke", "system")]
    whole.update(json.dumps([layout, *parts], sort_keys=True).encode())
    if files := release.smoke_of(layout).files:
        for path in sorted((workspace.home / files).rglob("*")):
            if path.is_file():
                whole.update(f"{path.relative_to(workspace.home)}\n".encode() + path.read_bytes())
    return whole.hexdigest()


def _smoke(  # noqa: PLR0917 - the caller's own values, once
    release: Release,
    plan: Plan,
    smoke: Smoke,
    root: CleanRoot,
    workspace: Workspace,
    logs: Path,
    runner: Runner,
    progress: Callable[[str], None],
) -> SmokeReport | None:
    if not smoke.steps:
        progress("no smoke test: elpack.toml has no step for it")
        return None
    session = make_session(smoke, release.service if plan.has_service() else None, plan.places(), plan.versions())
    session = session.slower(patience(plan.target.arch))
    return smoke_root(
        root.path,
        session,
        interpreter=plan.target.interpreter,
        files=workspace.home / smoke.files if smoke.files else None,
        logs=logs / "smoke",
        runner=runner,
        progress=progress,
        limits=release.builds.limits,
        record=root.record,
    )


def _files(root: Path) -> Iterator[str]:
    """Yield what is in a root but is no bookkeeping, as paths inside it."""
    for folder, folders, files in os.walk(root):
        inside = folder.removeprefix(str(root))
        folders[:] = [name for name in folders if not _BOOKKEEPING.match(f"{inside}/{name}")]
        for name in (*files, *folders):
            if not _BOOKKEEPING.match(path := f"{inside}/{name}"):
                yield path


def _may_stay(path: str, release: Release) -> bool:
    """Tell what belongs to the administrator: configuration that was changed, and the service's state."""
    name = release.service.name if release.service else release.name
    state = release.service.state_directory if release.service else release.name
    return f"{path}/".startswith((f"/etc/{name}/", f"/var/lib/{state or name}/")) or path.endswith(
        (".rpmsave", ".rpmnew")
    )

"""Gathers all that the planner may look at: sources, locks, archives and what they hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.buildlock import build_requirements, read_build_lock
from elpack.errors import BuildLockError, Problem
from elpack.model import Layout, SelectedDist, Sha256
from elpack.plan.facts import Inputs
from elpack.plan.model import Source
from elpack.plan.policy import choose_file, target_tags
from elpack.plan.system import settle
from elpack.run import run
from elpack.steps.closure import close, fetch, read_sources, with_extras
from elpack.steps.facts import read_facts
from elpack.steps.gather_overrides import cited_files, taken_elsewhere
from elpack.steps.texts import own_text
from elpack.targets.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import Release
    from elpack.fetch import Progress
    from elpack.model import Target
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.workspace import Workspace


@dataclass(slots=True)
class Gathered:
    """The planner's inputs, and where the file of each digest lies."""

    inputs: Inputs
    sources: Sources
    paths: dict[str, Path] = field(default_factory=dict)


def gather(
    project: Project,
    target: Target,
    workspace: Workspace,
    *,
    layout: Layout | None = None,
    sources: Sources | None = None,
    offline: bool = False,
    runner: Runner = run,
    progress: Progress | None = None,
) -> Gathered:
    """Fetch and read everything that a plan for the target needs. sources: those that were read before."""
    sources = sources or read_sources(project, workspace, offline=offline, runner=runner)
    layout = layout or project.release.layout
    closure = close(project, sources, target, layout)
    if layout is Layout.SYSTEM:
        closure = with_extras(project, sources, closure, workspace, offline=offline)
    build, requires = _build_dists(workspace, target)
    ranks = target_tags(target)
    chosen_build = {dist.name: choose_file(dist, target, ranks) for dist in build}
    choices = (*closure.chosen.values(), *chosen_build.values())
    files = [choice.file for choice in choices if choice.file is not None]
    damaged: list[str] = []
    paths = fetch(files, sources, workspace, offline=offline, progress=progress, notice=damaged.append)
    assets = _assets(project.release, workspace, paths)
    build_lock = own_text(workspace.build_lock, workspace.build_lock.name, BuildLockError)
    inputs = Inputs(
        release=project.release,
        target=target,
        layout=layout,
        version=closure.version,
        selection=closure.selection,
        chosen=closure.chosen,
        build=build,
        chosen_build=chosen_build,
        facts=read_facts(files, paths, workspace.facts, damaged.append),
        overrides=project.overrides,
        changelog=project.changelog,
        build_requires=requires,
        assets=assets,
        cited=cited_files(project.overrides, closure.chosen, paths),
        elsewhere=taken_elsewhere(
            project.release, target, layout, lambda other, its: close(project, sources, other, its), build_lock
        ),
        notices=(*sources.notices, *sorted(damaged)),
    )
    return Gathered(settle(inputs, shipped(target)) if layout is Layout.SYSTEM else inputs, sources, paths)


def _build_dists(workspace: Workspace, target: Target) -> tuple[tuple[SelectedDist, ...], dict[str, tuple[str, ...]]]:
    path = workspace.build_lock_of(target)
    if not path.exists():
        raise BuildLockError(Problem("there is no lock of build requirements", where=str(path), fix="elpack lock"))
    text = own_text(path, path.name, BuildLockError)
    return read_build_lock(text, path.name, target), build_requirements(text, path.name)


def _assets(release: Release, workspace: Workspace, paths: dict[str, Path]) -> dict[str, Source]:
    assets = {}
    for asset in release.assets:
        path = workspace.home / asset.source
        sha256 = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
        assets[asset.source] = Source(path.name, sha256)
        paths[sha256] = path
    return assets

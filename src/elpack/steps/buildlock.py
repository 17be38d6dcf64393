"""The build lock of a release: made anew, and told when it is stale."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.atomic import write_text
from elpack.buildlock import BuildInputs, build_inputs, build_lock_stale
from elpack.errors import BuildLockError
from elpack.images.pypy import needs_rust, pypy_target
from elpack.model import Layout, Policy, SdistFacts
from elpack.naming import dist_name
from elpack.steps.closure import Closure, close, fetch, read_sources
from elpack.steps.facts import read_facts
from elpack.steps.lock import make_build_lock
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.sources import build_files_digest
from elpack.steps.texts import own_text
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.model import RemoteFile, Selection, Target
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.workspace import Workspace


def check_build_lock(
    project: Project, sources: Sources, workspace: Workspace, *, offline: bool = False, pypy: bool = False
) -> None:
    """Raise `BuildLockError` with all reasons why the build lock does not belong to the release any more.

    It serves all targets at once, so all of them are looked at, whichever is built. pypy: PyPy's lock is meant.
    """
    closures = _closures(project, sources, pypy=pypy)
    facts, _ = _sdists(closures, sources, workspace, _rust(project), offline=offline)
    inputs = _inputs(project, closures, facts)
    path = workspace.pypy_lock if pypy else workspace.build_lock
    problems = build_lock_stale(own_text(path, path.name, BuildLockError), inputs, path.name)
    if problems:
        raise BuildLockError(*problems)


def renew_build_lock(project: Project, workspace: Workspace, runner: Runner, *, pypy: bool = False) -> int:
    """Write the build lock, or PyPy's, anew for all targets of the release; return how many sdists it serves."""
    sources = read_sources(project, workspace, runner=runner)
    closures = _closures(project, sources, pypy=pypy)
    facts, paths = _sdists(closures, sources, workspace, _rust(project))
    text = make_build_lock(
        facts,
        paths,
        _pairs(project, closures),
        LockSandbox.here(runner, workspace.work / "lock", os.environ),
        lambda file: fetch([file], sources, workspace)[file.sha256],
        overrides=_overrides(project, closures),
        index=project.release.index,
    )
    write_text(workspace.pypy_lock if pypy else workspace.build_lock, text)
    return len(facts)


def _closures(project: Project, sources: Sources, *, pypy: bool) -> list[Closure]:
    if pypy:
        bases = project.release.images.bases if project.release.images else {}
        targets = [resolve_target(choice, arch) for choice in project.release.targets for arch in choice.arches]
        return [close(project, sources, pypy_target(target, bases), Layout.STACK) for target in targets]
    # a bundle is made of the stack's packages
    layouts = [layout for layout in project.release.layouts if layout is not Layout.BUNDLE]
    return [
        close(project, sources, resolve_target(choice, arch), layout)
        for choice in project.release.targets
        for arch in choice.arches
        for layout in layouts
    ]


def _rust(project: Project) -> frozenset[NormalizedName]:
    images = project.release.images
    return images.pypy.rust_dists() if images else frozenset()


def _sdists(
    closures: list[Closure],
    sources: Sources,
    workspace: Workspace,
    rust: frozenset[NormalizedName],
    *,
    offline: bool = False,
) -> tuple[list[SdistFacts], dict[str, Path]]:
    """Return the facts of every sdist that some target builds, and where the files lie, by file name.

    A checkout's sdist has the digest of what says how it is built in place of the whole file's. What would need
    Rust for PyPy is left out, as it cannot be built, unless it is one of `rust`.
    """
    chosen: dict[str, RemoteFile] = {}
    for closure in closures:
        for choice in closure.chosen.values():
            if choice.policy is Policy.SDIST and choice.file is not None:
                chosen[choice.file.filename] = choice.file
    with_pypy = any(closure.target.pypy for closure in closures)
    files = [chosen[name] for name in sorted(chosen)]
    paths = fetch(files, sources, workspace, offline=offline)
    facts = read_facts(files, paths, workspace.facts)
    made = workspace.work / "sdists"
    found = [
        replace(fact, sha256=build_files_digest(path)) if (path := paths[file.sha256]).is_relative_to(made) else fact
        for file in files
        if isinstance(fact := facts[file.sha256], SdistFacts)
        and not (with_pypy and needs_rust(fact) and canonicalize_name(fact.metadata.name) not in rust)
    ]
    return found, {file.filename: paths[file.sha256] for file in files}


def _inputs(project: Project, closures: list[Closure], facts: list[SdistFacts]) -> BuildInputs:
    return build_inputs(facts, _pairs(project, closures), overrides=_overrides(project, closures))


def _pairs(project: Project, closures: list[Closure]) -> list[tuple[Target, Selection]]:
    """Return the closures in whose versions builds may have to be made: those of the release's own layout."""
    own = Layout.SYSTEM if project.release.layout is Layout.SYSTEM else Layout.STACK
    return [(closure.target, closure.selection) for closure in closures if closure.layout is own]


def _overrides(project: Project, closures: list[Closure]) -> frozenset[NormalizedName]:
    """Return the dists that builds must take in the closure's version: those that an override builds with."""
    known = {dist.name for closure in closures for dist in closure.selection.dists}
    wanted = {dist_name(entry.value) for override in project.overrides.values() for entry in override.build_dists}
    return frozenset(wanted & known)

"""The side of a session that flavour `pypy` is made from: PyPy's own closure, plan, and root."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.checks import check_plan
from elpack.errors import ImageError, Problem
from elpack.images.pypy import cannot_be_had, pypy_target
from elpack.images.smoke import on_pypy
from elpack.model import Layout, Policy
from elpack.plan.make import make_plan
from elpack.session import Session
from elpack.steps.base import Base
from elpack.steps.buildlock import check_build_lock
from elpack.steps.closure import close, fetch, read_sources
from elpack.steps.facts import read_facts
from elpack.steps.gather import gather
from elpack.steps.images.foreign import need_own_machine
from elpack.steps.images.pypy_root import build_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.images.model import Images
    from elpack.model import Target
    from elpack.plan.facts import Inputs
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.workspace import Workspace


def check_pypy(session: Session) -> None:
    """Raise `ImageError` with every dist that PyPy cannot get, before anything is built. The session is read."""
    _planned_target(session)


def pypy_session(session: Session) -> Session:
    """Return a planned session's side with PyPy: its target, what it gathers, its plan. Nothing of it becomes an RPM.

    Raises `ImageError` where the lock cannot be had for PyPy, `BuildLockError` for a lock of build requirements that is
    missing or stale, and what gathering and planning raise.
    """
    target = _planned_target(session)
    mine = Session(session.workspace, session.options, session.screen, session.runner)
    mine.project, mine.target, mine.signer = session.project, target, session.signer
    mine.gathered = gather(
        mine.project,
        target,
        mine.workspace,
        layout=mine.layout,
        sources=session.gathered.sources,
        offline=mine.options.offline,
        runner=mine.runner,
    )
    check_build_lock(mine.project, mine.gathered.sources, mine.workspace, offline=mine.options.offline, pypy=True)
    mine.plan = make_plan(mine.gathered.inputs)
    check_plan(mine.plan, _as_tried(mine.gathered.inputs))
    return mine


def with_root(mine: Session, say: Callable[[str], None]) -> Session:
    """Provide the root that a session of `pypy_session` works in, and return the session."""
    root = build_root(mine.target, mine.workspace, mine.runner, say)
    mine.base = Base((), root.digest)
    return mine


def refuse_incomplete(
    project: Project, sources: Sources, workspace: Workspace, target: Target, *, offline: bool
) -> None:
    """Raise `ImageError` with every dist that PyPy cannot get on a target that has it."""
    closure = close(project, sources, target)
    files = [one.file for one in closure.chosen.values() if one.policy is Policy.SDIST and one.file]
    facts = read_facts(files, fetch(files, sources, workspace, offline=offline), workspace.facts)
    rust = project.release.images.pypy.rust_dists() if project.release.images else ()
    if problems := tuple(cannot_be_had(closure.selection.by_name(), closure.chosen, facts, target, rust)):
        raise ImageError(*problems)


def _as_tried(inputs: Inputs) -> Inputs:
    """Return the inputs with the smoke test as PyPy takes it: the release's own may name what CPython alone has."""
    images = inputs.release.images
    smoke = on_pypy(inputs.release.smoke, images.pypy) if images else inputs.release.smoke
    return replace(inputs, release=replace(inputs.release, smoke=smoke))


def _planned_target(session: Session) -> Target:
    images = _images(session)
    need_own_machine(session.target.arch)
    if session.layout is Layout.SYSTEM:
        raise ImageError(Problem("layout system has no tree for PyPy", "release.layout", fix="layout stack or bundle"))
    target = pypy_target(session.target, images.bases)
    sources = read_sources(session.project, session.workspace, offline=session.options.offline, runner=session.runner)
    refuse_incomplete(session.project, sources, session.workspace, target, offline=session.options.offline)
    return target


def _images(session: Session) -> Images:
    images = session.project.release.images
    if images is None:
        what = "the release makes no images: it has no table [images]"
        raise ImageError(Problem(what, "elpack.toml", fix="docs/reference/release-file.md describes it"))
    return images

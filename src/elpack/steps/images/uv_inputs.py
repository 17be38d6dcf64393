"""What the tree of flavour `uv` is made from: the lock and its project as they are, and each dist's file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack import strict
from elpack.archives import sdist_members
from elpack.errors import ImageError, LockError, Problem
from elpack.freshness import check_fresh
from elpack.model import Layout, Policy
from elpack.plan.model import Role
from elpack.steps.checkouts import checkout
from elpack.steps.images.wheels import wheel_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.model import RemoteFile, Target
    from elpack.plan.model import Package
    from elpack.session import Session
    from elpack.steps.images.home import Home

_IN_TREES = (Role.THIRD_PARTY, Role.FIRST_PARTY, Role.APPLICATION)


@dataclass(frozen=True, slots=True)
class UvInputs:
    """All dists of the closure, as `packages` by name, of which each is either `locked` or `made`.

    locked: wheels that the lock pins, with the place where they were fetched to. made: those that the plan compiles
    or takes something out of, whose wheels are made here. own: first-party ones. digests: what each comes of.
    """

    target: Target
    pyproject: bytes
    lock: bytes
    packages: Mapping[NormalizedName, Package]
    locked: Mapping[NormalizedName, tuple[RemoteFile, Path]]
    made: Mapping[NormalizedName, Package]
    own: Collection[NormalizedName]
    digests: Mapping[NormalizedName, str]


def read_inputs(session: Session, home: Home) -> UvInputs:
    """Return what a session's tree is made from.

    Raises `LockError` when the lock does not fit its project any more, `ImageError` for a layout without a tree.
    """
    if session.plan.layout is Layout.SYSTEM or session.gathered.sources.lock is None:
        what = "flavour uv is for applications with a lock of their own, in a private prefix"
        raise ImageError(Problem(what, where="elpack.toml: release.layout", fix="layout stack or bundle"))
    pyproject, lock = _project(session)
    packages = _packages(session)
    chosen = session.gathered.inputs.chosen
    if missing := sorted(chosen.keys() ^ packages.keys()):
        raise AssertionError(f"plan and closure differ: {missing}")
    made = made_here(session)
    locked = {
        dist: (file, session.gathered.paths[file.sha256])
        for dist in packages
        if dist not in made and (file := chosen[dist].file) is not None
    }
    digests = {dist: str(file.sha256) for dist, (file, _) in locked.items()}
    digests |= {dist: wheel_key(package, session, home) for dist, package in made.items()}
    own = session.project.release.first_party_names()
    return UvInputs(session.target, pyproject, lock, packages, locked, made, own, digests)


def made_here(session: Session) -> dict[NormalizedName, Package]:
    """Return what uv takes no locked wheel of: what the plan compiles, or takes something out of."""
    return {dist: one for dist, one in _packages(session).items() if one.policy is Policy.SDIST or one.drop}


def _packages(session: Session) -> dict[NormalizedName, Package]:
    return {package.dist: package for package in session.plan.packages if package.role in _IN_TREES}


def _project(session: Session) -> tuple[bytes, bytes]:
    """Return the application's pyproject.toml and lock, byte for byte those that the plan was made from."""
    release, sources = session.project.release, session.gathered.sources
    application = release.application
    dist = next(dist for dist in release.first_party if dist.name == application.name)
    tree = checkout(dist, session.workspace, session.runner)
    if tree is not None:
        pyproject, lock = (tree / "pyproject.toml").read_bytes(), (tree / application.lock).read_bytes()
        where = str(tree)
    else:
        path = sources.paths[sources.local[application.name].sha256]
        members = sdist_members(path, ("pyproject.toml", application.lock))
        pyproject, lock = members["pyproject.toml"], members[application.lock]
        where = path.name
    if sources.lock is None or hashlib.sha256(lock).hexdigest() != sources.lock.sha256:
        what = "the lock was changed while it was being used"
        raise LockError(Problem(what, where=f"{where}/{application.lock}", fix="run again"))
    _check_extras(session, pyproject, where)
    return pyproject, lock


def _check_extras(session: Session, pyproject: bytes, where: str) -> None:
    """Compare the extras that are installed with what the lock was made for; the plan has looked at the rest."""
    application, lock = session.project.release.application, session.gathered.sources.lock
    if not application.extras or lock is None:
        return
    try:
        project = strict.toml(pyproject).get("project", {})
    except ValueError as error:
        raise LockError(Problem(str(error), where=where)) from error
    optional = project.get("optional-dependencies", {})
    wanted = {str(extra): tuple(optional.get(extra, ())) for extra in application.extras}
    check_fresh(lock, application.name, tuple(project.get("dependencies", ())), wanted)

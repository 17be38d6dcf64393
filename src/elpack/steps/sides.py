"""Where the packages of a run are built: on this machine's own side, or on that of another architecture, and how."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.choose import choose_builder
from elpack.builders.emulation import MACHINE, emulation
from elpack.builders.ways import choose_way
from elpack.builders.worker import WorkerBuilder
from elpack.cross.judge import imports_left
from elpack.cross.toolchain import toolchain
from elpack.errors import ForeignArchError, Problem
from elpack.model import Way
from elpack.plan.joint import Making, Planned, join, makings_of
from elpack.steps.build import Build, Side
from elpack.steps.cross_toolchain import cross_repositories

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from elpack.builders import Builder, Repository
    from elpack.builders.cross import CrossBuilder
    from elpack.builders.ways import ChosenWay
    from elpack.plan.model import NodeId
    from elpack.session import Session
    from elpack.steps.results import Result

_BUILD_MEMORY = 2 << 30
"""Bytes that a C++ compilation may want."""


@dataclass(frozen=True, slots=True)
class Sided:
    """One build for several sessions, and what each session's nodes are called in it."""

    build: Build
    names: Mapping[str, Mapping[NodeId, NodeId]]
    """By architecture."""

    def results(self, arch: str, done: Mapping[NodeId, Result]) -> dict[NodeId, Result]:
        """Return what became of one session's packages. What another side made for it counts as made before."""
        found = {node: (name, done[name]) for node, name in self.names[arch].items() if name in done}
        shared = arch != next(iter(self.names))
        return {
            node: replace(one, node=node, cached=one.cached or (shared and name == node))
            for node, (name, one) in found.items()
        }


def way_of(session: Session) -> ChosenWay:
    """Return how code of the session's target is compiled here. Raises `ForeignArchError` when it cannot be."""
    arch, builds = session.target.arch, session.project.release.builds
    chosen = choose_way(
        session.options.way or builds.way,
        arch,
        machine=MACHINE,
        workers=builds.workers,
        emulation=emulation(arch),
    )
    if session.home is None and arch != MACHINE and chosen.way is not Way.EMULATED:
        what = f"code for {arch} is compiled by the way {chosen.way} only beside a root of this {MACHINE} machine"
        fix = f'add "{MACHINE}" there, or --way emulated'
        where = f"[targets.{session.target.name}] arches"
        raise ForeignArchError(Problem(what, where, "the release is not made for this machine's architecture", fix))
    return chosen


def makings(session: Session) -> dict[NodeId, Making]:
    """Return where the packages of a session's plan are made; none of them elsewhere where the machine is its own."""
    if session.home is None:
        return {package.node: Making.COMPILED for package in session.plan.packages}
    return makings_of(_planned(session.home), _planned(session))


def untried(session: Session) -> tuple[str, ...]:
    """Return the modules that no build imported, for nothing of a cross build runs before it is installed."""
    if not _is_crossed(session) or session.target.arch == MACHINE:
        return ()
    compiled = (node for node, how in makings(session).items() if how is Making.COMPILED)
    published = {package.node for package in session.plan.published()}
    return tuple(word for node in compiled if node in published for word in imports_left(session.specs[node]))


@dataclass(frozen=True, slots=True)
class Ways:
    """How the packages of another architecture come to be, in a word each, and what is to be told of it."""

    words: Mapping[NodeId, str]
    notice: str


def ways_of(session: Session) -> Ways | None:
    """Return how a session's packages come to be where its architecture is not this machine's."""
    arch = session.target.arch
    if arch == MACHINE:
        return None
    how = makings(session)
    try:
        chosen = way_of(session)
        way, told = str(chosen.way), f"{chosen.way}: {chosen.reason}{_caveat(session, chosen.way)}"
    except ForeignArchError as error:
        way, told = "nowhere", str(error)
    words = {Making.SHARED: "shared", Making.REPACKAGED: "repackaged", Making.COMPILED: way}
    counts = Counter(how.values())
    parts = [
        f"{counts[Making.SHARED]} packages are shared with {MACHINE}",
        f"{counts[Making.REPACKAGED]} are repackaged on it",
        f"{counts[Making.COMPILED]} compiled: {told}",
    ]
    return Ways({node: words[making] for node, making in how.items()}, f"{arch}: {', '.join(parts)}")


def _caveat(session: Session, way: Way) -> str:
    if way is not Way.CROSS:
        return ""
    caveat = toolchain(session.target.name, session.target.arch, MACHINE).caveat
    return f". {caveat}" if caveat else ""


def predict(session: Session) -> frozenset[NodeId]:
    """Return which packages of a session's plan were built before, as far as that can be known without making anything.

    What is cross-compiled cannot be known: its keys need the compiler.
    """
    arch = session.target.arch
    sided = build_of(sides_for(session), looking=True)
    found = sided.build.predict()
    return frozenset(node for node, name in sided.names[arch].items() if name in found)


def sides_for(session: Session) -> list[Session]:
    """Return the sessions that a session's packages are built in, this machine's own first."""
    return [session.home, session] if session.home else [session]


def build_of(
    sessions: Sequence[Session], wanted: Mapping[str, Collection[NodeId]] | None = None, *, looking: bool = False
) -> Sided:
    """Return the build of all that the sessions' plans hold, in which nothing is made twice.

    The first session is of this machine's own architecture, unless there is only one. wanted: by architecture, the
    nodes that are needed, with all that must be built before them; else all. What the first session has beyond what
    others share with it is built only where its architecture is wanted. looking: it is for `Build.predict` alone, so
    nothing is made for it, and it is no error that nothing here compiles for an architecture.
    """
    first = sessions[0]
    crossed = {one.target.arch for one in sessions[1:] if _is_crossed(one) and not looking}
    joint = join(_planned(first), [_planned(other) for other in sessions[1:]], crossed)
    if first.target.arch != MACHINE and not looking:
        way_of(first)  # or say that nothing here builds for it
    sides = dict.fromkeys(joint.nodes[0].values(), _own_side(first, rank=0))
    for rank, (other, names, how) in enumerate(zip(sessions[1:], joint.nodes[1:], joint.makings, strict=True), 1):
        by_making = _other_sides(other, first, rank, set(how.values()), looking=looking)
        sides |= {names[node]: by_making[one] for node, one in how.items() if one is not Making.SHARED}
    if wanted is not None:
        named = dict(zip([one.target.arch for one in sessions], joint.nodes, strict=True))
        joint = joint.only(frozenset(named[arch][node] for arch, nodes in wanted.items() for node in nodes))
    options = first.options
    build = Build(
        packages=joint.packages,
        roots=joint.roots,
        sides=sides,
        specs=joint.specs,
        sources={sha256: path for one in sessions for sha256, path in one.gathered.paths.items()},
        store=first.store,
        work=first.workspace.work / "building",
        workers=options.workers or default_workers(),
        keep_going=options.keep_going,
        limits=first.project.release.builds,
    )
    return Sided(build, {one.target.arch: names for one, names in zip(sessions, joint.nodes, strict=True)})


def default_workers() -> int:
    """Return how many builds this machine can hold at a time: one per core, and two gigabytes for each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // _BUILD_MEMORY))


def _is_crossed(session: Session) -> bool:
    return (session.options.way or session.project.release.builds.way) is Way.CROSS


def _planned(session: Session) -> Planned:
    return Planned(session.plan, session.specs)


def _own_side(session: Session, rank: int) -> Side:
    """Return the side of a session whose packages are built in roots of its own target."""
    return _side(session, rank, _builder(session), session.base.digest)


def _other_sides(
    session: Session, home: Session, rank: int, needed: Collection[Making], *, looking: bool
) -> dict[Making, Side]:
    """Return the sides of another architecture's packages: repackaging needs nothing but a root of this machine's."""
    sides = {Making.REPACKAGED: _side(session, rank, _builder(home), home.base.digest)}
    if Making.COMPILED in needed:
        sides[Making.COMPILED] = (_seen_side if looking else _compiled_side)(session, home, rank)
    return sides


def _seen_side(session: Session, home: Session, rank: int) -> Side:
    """Return the side that `_compiled_side` gives as far as keys can be known of it; nobody builds on it."""
    base = "" if _is_crossed(session) else session.base.digest
    return _side(session, rank, _builder(home), base)


def _compiled_side(session: Session, home: Session, rank: int) -> Side:
    way = way_of(session).way
    if way is Way.EMULATED:
        return _own_side(session, rank)
    if way is Way.NATIVE:
        return _side(session, rank, _worker(session, home), session.base.digest)
    cross = _cross(session, home)
    # what the compiler is decides what it makes; emulation and a worker give the same bytes
    digest = hashlib.sha256(f"{session.base.digest} {cross.digest()}".encode()).hexdigest()
    return _side(session, rank, cross, digest)


def _side(session: Session, rank: int, builder: Builder, base: str) -> Side:
    def with_repositories(repositories: tuple[Repository, ...]) -> Builder:
        if builder.name == "cross":  # dnf takes of them what is of a root's architecture
            return replace(builder, extra=repositories, home_extra=repositories)  # type: ignore[type-var]
        return replace(builder, extra=repositories)  # type: ignore[type-var]

    return Side(session.target, base, with_repositories, session.output / "logs" / "build", rank)


def _worker(session: Session, home: Session) -> WorkerBuilder:
    arch, own = session.target.arch, _builder(home)
    return WorkerBuilder(
        target=session.target,
        base=session.base.digest,
        command=session.project.release.builds.workers[arch],
        work=session.workspace.work / "worker",
        home=own if isinstance(own, BwrapBuilder) else None,
        runner=session.runner,
    )


def _cross(session: Session, home: Session) -> CrossBuilder:
    from elpack.builders.cross import CrossBuilder

    chain = toolchain(session.target.name, session.target.arch, home.target.arch)
    work = session.workspace.work
    return CrossBuilder(
        target=session.target,
        home=home.target,
        repositories=session.base.repositories,
        home_repositories=home.base.repositories,
        compilers=cross_repositories(chain, home.target, work / "standin", session.runner),
        toolchain=chain,
        work=work / "cross",
        runner=session.runner,
        preload=session.options.preload,
    )


def _builder(session: Session) -> Builder:
    options = session.options
    return choose_builder(
        options.builder,
        session.target,
        session.base.repositories,
        session.workspace.work,
        runner=session.runner,
        distribution=options.distribution,
        preload=options.preload,
    ).builder

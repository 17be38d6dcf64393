"""One build for several architectures: what is made once for all of them, and what each needs for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.cross.judge import FIX
from elpack.errors import ForeignArchError, Problem
from elpack.plan.keys import root_nodes
from elpack.plan.model import NodeId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from elpack.plan.model import Package, Plan


class Making(StrEnum):
    """Where a package of another architecture than the machine's is made."""

    SHARED = "shared"
    """It is noarch and the same on both sides: this machine's own side makes it."""
    REPACKAGED = "repackaged"
    """It carries the files of a wheel, so that a root of this machine's does."""
    COMPILED = "compiled"
    """It runs code of its own: the chosen way decides."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with its specs."""

    plan: Plan
    specs: Mapping[NodeId, str]


@dataclass(frozen=True, slots=True)
class Joint:
    """All that is built together.

    packages: of every side, those of the machine's own first; their nodes are unique among all. specs and roots are
    by these nodes; roots holds what each build root may hold. nodes: for each side, its own nodes and what they are
    called here. makings: for each side but the first, where its packages are made.
    """

    packages: tuple[Package, ...]
    specs: Mapping[NodeId, str]
    roots: Mapping[NodeId, tuple[NodeId, ...]]
    nodes: tuple[Mapping[NodeId, NodeId], ...]
    makings: tuple[Mapping[NodeId, Making], ...]

    def only(self, wanted: frozenset[NodeId]) -> Joint:
        """Return no more than these packages and what must be built before them, in the same order."""
        part: set[NodeId] = set()
        queue = list(wanted)
        while queue:
            node = queue.pop()
            if node not in part:
                part.add(node)
                queue += self.roots[node]
        return replace(self, packages=tuple(package for package in self.packages if package.node in part))


def join(home: Planned, others: Sequence[Planned], crossed: Collection[str] = ()) -> Joint:
    """Return what is built for a plan of the machine's own architecture and the same release's plans of others.

    crossed: the architectures whose packages are cross-compiled: their build roots hold what runs in them as well, of
    the machine's own side. Raises `ForeignArchError` where one would hold two noarch packages of one name.
    """
    packages, own = list(home.plan.packages), root_nodes(home.plan)
    specs, roots = dict(home.specs), dict(own)
    nodes: list[Mapping[NodeId, NodeId]] = [{package.node: package.node for package in packages}]
    makings: list[Mapping[NodeId, Making]] = []
    twins: list[Problem] = []
    for other in others:
        making = makings_of(home, other)
        here = {node: node if how is Making.SHARED else _named(other.plan, node) for node, how in making.items()}
        inside = root_nodes(other.plan)
        for package in other.plan.packages:
            if making[package.node] is Making.SHARED:
                continue
            name = here[package.node]
            waits = tuple(here[node] for node in package.waits_for)
            packages.append(replace(package, node=name, waits_for=waits))
            specs[name] = other.specs[package.node]
            is_crossed = making[package.node] is Making.COMPILED and other.plan.target.arch in crossed
            beside = _beside(package.node, inside, own) if is_crossed else ()
            twins += _twins(package, [one for one in inside[package.node] if here[one] != one and one in beside], other)
            roots[name] = tuple(sorted({*beside, *(here[node] for node in inside[package.node])}))
        nodes.append(here)
        makings.append(making)
    if twins:
        raise ForeignArchError(*twins)
    return Joint(tuple(packages), specs, roots, tuple(nodes), tuple(makings))


def makings_of(home: Planned, other: Planned) -> dict[NodeId, Making]:
    """Return where each package of another architecture's plan is made."""
    own, inside = home.plan.by_node(), root_nodes(other.plan)
    shared = {one.node for one in other.plan.packages if _is_shared(one, own.get(one.node), home, other)}
    result = {}
    for package in other.plan.packages:
        if package.node in shared:
            result[package.node] = Making.SHARED
        elif package.template == "wheel.spec.j2" and shared.issuperset(inside[package.node]):
            result[package.node] = Making.REPACKAGED
        else:
            result[package.node] = Making.COMPILED
    return result


def _is_shared(package: Package, own: Package | None, home: Planned, other: Planned) -> bool:
    return (
        own is not None
        and package.noarch
        and own.noarch
        and other.specs[package.node] == home.specs[package.node]
        and (package.sources, package.generated, package.waits_for) == (own.sources, own.generated, own.waits_for)
        and package.build_requires == own.build_requires
    )


def _beside(
    node: NodeId, inside: Mapping[NodeId, tuple[NodeId, ...]], own: Mapping[NodeId, tuple[NodeId, ...]]
) -> tuple[NodeId, ...]:
    """Return what the machine's own side has for a package's build root; it need not have the package itself."""
    return own.get(node, tuple(one for one in inside[node] if one in own))


def _twins(package: Package, both: Sequence[NodeId], other: Planned) -> Iterator[Problem]:
    """Yield what a cross build cannot tell apart: noarch packages that are others on each side, by the same names."""
    nodes = other.plan.by_node()
    for node in both:
        if nodes[node].noarch:
            what = f"a cross build needs {nodes[node].rpm} of both sides, and they differ though both are noarch"
            yield Problem(what, package.nvr, fix=FIX)


def _named(plan: Plan, node: NodeId) -> NodeId:
    return NodeId(f"{plan.target.arch}:{node}")

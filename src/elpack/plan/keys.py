"""Content keys: the digest of everything that can change what a package's build gives."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.model import Sha256, Target
    from elpack.plan.model import NodeId, Package, Plan

RECIPE = "2"
"""Raise it when a builder starts to do something else with the same input."""


def package_key(package: Package, spec: str, target: Target, base: str, root: Iterable[Sha256]) -> str:
    """Return the key of one package.

    spec: its rendered text. base: the digest of the target's own repositories. root: the digests of all RPMs
    of the plan that its build root may hold.
    """
    content = {
        "recipe": RECIPE,
        "target": [target.name, target.python, target.arch, target.dist_tag],
        "base": base,
        "spec": hashlib.sha256(spec.encode()).hexdigest(),
        "sources": sorted((source.filename, source.sha256) for source in package.sources),
        "generated": sorted((name, hashlib.sha256(text.encode()).hexdigest()) for name, text in package.generated),
        "root": sorted(root),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def root_nodes(plan: Plan) -> Mapping[NodeId, tuple[NodeId, ...]]:
    """Return for each package all that its build root holds of the plan: what it waits for, and what that needs."""
    nodes = plan.by_node()
    result = {}
    for package in plan.packages:
        seen: set[NodeId] = set()
        queue = list(package.waits_for)
        while queue:
            node = queue.pop()
            if node not in seen:
                seen.add(node)
                queue += nodes[node].needs
        result[package.node] = tuple(sorted(seen))
    return result


def urgency(packages: Iterable[Package], roots: Mapping[NodeId, tuple[NodeId, ...]]) -> dict[NodeId, int]:
    """Return for each package the work that cannot begin before it is done, in rough seconds of building.

    The weights only order the queue: what leads to a long compilation starts first.
    """
    own = {package.node: _weight(package) for package in packages}
    holders: dict[NodeId, list[NodeId]] = {}
    for node in own:
        for inside in roots[node]:
            holders.setdefault(inside, []).append(node)
    result: dict[NodeId, int] = {}

    def total(node: NodeId) -> int:
        if node not in result:
            result[node] = own[node] + max((total(holder) for holder in holders.get(node, ())), default=0)
        return result[node]

    for node in own:
        total(node)
    return result


def _weight(package: Package) -> int:
    if package.template == "wheel.spec.j2":
        return 1
    compiles_much = any(require.requirement == "cmake" for require in package.build_requires)
    return 300 if compiles_much else 20 if package.native else 8

"""What of a uv.lock one application needs on one target: extras, markers, forks, conflicts; groups are left out.

The walk is the one that uv makes when it installs from a lock; a contract test holds it to `uv export`.
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Protocol

from elpack.errors import LockError, Problem
from elpack.lockfile import parse_marker
from elpack.model import ConflictItem, LockedDist, SelectedDist, Selection, SourceKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.markers import Marker
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import LockEdge, UvLock


class Place(Protocol):
    """An interpreter on a machine, such as a target: its version without patch level, and its PEP 508 environment."""

    @property
    def python(self) -> str:
        """Return its version, such as 3.12."""
        ...

    def marker_environment(self) -> dict[str, str]:
        """Return what markers are held against."""
        ...


_EXTRA = re.compile(r'\bextra (==|!=) "([^"]*)"')

_UNSUPPORTED = {
    SourceKind.GIT: ("a git repository", "release it to an index and lock again"),
    SourceKind.URL: ("a URL outside any index", "lock it from an index"),
    SourceKind.PATH: ("a path on the machine that locked", "lock it from an index"),
    SourceKind.EDITABLE: ("a checkout", "lock it from an index"),
    SourceKind.VIRTUAL: ("a folder that is not a package", "take it out of the requirements"),
}


@dataclass(slots=True)
class _Node:
    dist: LockedDist
    extras: set[NormalizedName] = field(default_factory=set)
    requires: set[NormalizedName] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through a lock. `active`, where it is asked for, holds conflict items as uv's markers spell them."""

    lock: UvLock
    entries: Mapping[NormalizedName, tuple[LockedDist, ...]]
    environment: Mapping[str, str]

    def holds(self, edge: LockEdge, active: Collection[str]) -> bool:
        """Tell whether the requirement applies."""
        return edge.marker is None or _evaluate(edge.marker, self.environment, active)

    def dist(self, edge: LockEdge, of: LockedDist) -> LockedDist:
        """Return the entry that an edge means. Raises `LockError` when there is not exactly one."""
        found = [
            dist
            for dist in self.entries.get(edge.name, ())
            if edge.version in (None, dist.version) and edge.source_value in (None, dist.source_value)
        ]
        if len(found) == 1:
            return found[0]
        wanted = f"{edge.name} {edge.version}" if edge.version else edge.name
        state = "does not hold" if not found else "holds more than once"
        problem = Problem(f"{of.name} requires {wanted}, which the lock {state}", _where(self.lock, of), fix="uv lock")
        raise LockError(problem)

    def edges(
        self, root: LockedDist, extras: Collection[NormalizedName], active: set[str], *, learn: bool = False
    ) -> Iterator[tuple[LockedDist, LockEdge, LockedDist]]:
        """Yield every edge that holds, breadth first. With `learn`, extras met on the way become active."""
        queue: deque[tuple[LockedDist, NormalizedName | None]] = deque([(root, None)])
        queue.extend((root, extra) for extra in sorted(extras))
        seen = {(_key(root), None), *((_key(root), extra) for extra in extras)}
        while queue:
            dist, extra = queue.popleft()
            for edge in dist.requires if extra is None else dist.optional.get(extra, ()):
                met = {_spell(ConflictItem(edge.name, extra=wanted)) for wanted in edge.extras} if learn else set()
                if not self.holds(edge, active | met):
                    continue
                active |= met
                required = self.dist(edge, dist)
                yield dist, edge, required
                for step in (None, *sorted(edge.extras)):
                    if (_key(required), step) not in seen:
                        seen.add((_key(required), step))
                        queue.append((required, step))


def select(
    lock: UvLock,
    root: NormalizedName,
    target: Place,
    extras: frozenset[NormalizedName] = frozenset(),
    *,
    root_version: Version | None = None,
    first_party: frozenset[NormalizedName] = frozenset(),
) -> Selection:
    """Return the closure of `root`, itself included, on the target.

    root_version is used where the lock gives none (a project with a dynamic version). first_party are dists whose
    source in the lock does not matter, because the release file says where they come from.

    Raises `LockError`: unknown root or extra, a target outside of what the lock was made for, conflicting extras,
    two versions of one name, sources that are no index.
    """
    _check_target(lock, target)
    entries: dict[NormalizedName, tuple[LockedDist, ...]] = {}
    for dist in lock.dists:
        entries[dist.name] = (*entries.get(dist.name, ()), dist)
    start = _root(lock, entries, root)
    _check_extras(lock, start, extras)
    walk = _Walk(lock, entries, target.marker_environment())
    active = _active(walk, start, extras)
    nodes = {_key(start): _Node(start, set(extras))}
    for dist, edge, required in walk.edges(start, extras, active):
        node = nodes.setdefault(_key(required), _Node(required))
        node.extras |= edge.extras
        if required.name != dist.name:
            nodes[_key(dist)].requires.add(required.name)
    _check_nodes(lock, start, nodes.values(), root_version, first_party)
    chosen = (_selected(node, root_version) for node in nodes.values())
    return Selection(root, tuple(sorted(chosen, key=lambda dist: dist.name)))


def select_all(
    lock: UvLock,
    roots: Mapping[NormalizedName, frozenset[NormalizedName]],
    target: Place,
    *,
    versions: Mapping[NormalizedName, Version],
    first_party: frozenset[NormalizedName],
) -> tuple[SelectedDist, ...]:
    """Return the closures of several dists of one lock as one, sorted by name.

    roots: their extras, of which only those are followed that the lock knows of: it has them for its own projects,
    not for what comes from an index. versions: used where the lock has none. Raises `LockError` as `select` does.
    """
    known = {dist.name: dist.extras for dist in lock.dists}
    found: dict[NormalizedName, SelectedDist] = {}
    for root, extras in sorted(roots.items()):
        asked = extras & known.get(root, frozenset())
        selection = select(lock, root, target, asked, root_version=versions.get(root), first_party=first_party | {root})
        for dist in selection.dists:
            other = found.get(dist.name, dist)
            requires = tuple(sorted({*other.requires, *dist.requires}))
            found[dist.name] = replace(dist, extras=other.extras | dist.extras, requires=requires)
    return tuple(found[name] for name in sorted(found))


def _check_target(lock: UvLock, target: Place) -> None:
    environment = target.marker_environment()
    problems = []
    if not lock.requires_python.contains(environment["python_full_version"]):
        what = f"the lock is for Python {lock.requires_python}, the target has {target.python}"
        problems.append(
            Problem(what, f"{lock.path}: requires-python", fix="choose another target, or lock for this Python")
        )
    if lock.supported and not any(_evaluate(marker, environment, ()) for marker in lock.supported):
        what = f"the lock was not made for {target}, only for {' or '.join(map(str, lock.supported))}"
        problems.append(
            Problem(what, f"{lock.path}: supported-markers", fix="widen [tool.uv] environments, then uv lock")
        )
    if problems:
        raise LockError(*problems)


def _root(lock: UvLock, entries: Mapping[NormalizedName, tuple[LockedDist, ...]], root: NormalizedName) -> LockedDist:
    found = entries.get(root, ())
    if len(found) == 1:
        return found[0]
    if found:
        raise LockError(Problem(f"the lock holds {root} {len(found)} times; a root must be there once", lock.path))
    local = sorted(dist.name for dist in lock.dists if dist.source in (SourceKind.EDITABLE, SourceKind.VIRTUAL))
    hint = f"the lock's own projects: {', '.join(local)}" if local else "is this the application's lock?"
    raise LockError(Problem(f"the lock does not hold {root}", lock.path, fix=hint))


def _check_extras(lock: UvLock, root: LockedDist, extras: frozenset[NormalizedName]) -> None:
    problems = []
    for extra in sorted(extras - root.extras):
        near = difflib.get_close_matches(extra, root.extras, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(root.extras)) or 'none'}"
        problems.append(Problem(f"{root.name} has no extra {extra}", _where(lock, root), fix=hint))
    if problems:
        raise LockError(*problems)


def _active(walk: _Walk, root: LockedDist, extras: frozenset[NormalizedName]) -> set[str]:
    """Return what conflict markers may ask for: the root, its extras, and every extra that the closure asks for."""
    if not walk.lock.conflicts:
        return set()
    active = {_spell(ConflictItem(root.name)), *(_spell(ConflictItem(root.name, extra=extra)) for extra in extras)}
    deque(walk.edges(root, extras, active, learn=True), maxlen=0)
    for items in walk.lock.conflicts:
        both = sorted((item for item in items if item.extra and _spell(item) in active), key=str)
        for one, other in combinations(both, 2):
            what = f"{one} and {other} conflict and cannot be installed together"
            raise LockError(Problem(what, f"{walk.lock.path}: conflicts", fix="ask for one of these extras only"))
    return active


def _spell(item: ConflictItem) -> str:
    """Return the name that uv gives to a conflict item in markers: kind, length of the project's name, names."""
    kind = "extra" if item.extra else "group" if item.group else "project"
    return "-".join(filter(None, (kind, str(len(item.package)), item.package, item.extra or item.group)))


def _evaluate(marker: Marker, environment: Mapping[str, str], active: Collection[str]) -> bool:
    text = str(marker)
    if "extra" in text:
        # PEP 508 knows one extra at a time and uv's conflict markers ask for a set: put in what is known already.
        marker = parse_marker(_EXTRA.sub(lambda match: _truth((match[2] in active) == (match[1] == "==")), text))
    return marker.evaluate(dict(environment))


def _truth(value: bool) -> str:  # noqa: FBT001
    return 'os_name == "posix"' if value else 'os_name != "posix"'


def _check_nodes(
    lock: UvLock,
    root: LockedDist,
    nodes: Collection[_Node],
    root_version: Version | None,
    first_party: frozenset[NormalizedName],
) -> None:
    problems = []
    by_name: dict[NormalizedName, LockedDist] = {}
    for node in sorted(nodes, key=lambda node: node.dist.line):
        dist = node.dist
        other = by_name.setdefault(dist.name, dist)
        if other is not dist:
            what = f"{dist.name} is selected twice: {other.version} (line {other.line}) and {dist.version}"
            why = "the lock forks where the target's environment does not decide"
            problems.append(Problem(what, _where(lock, dist), why, fix="lock for one version, then uv lock"))
        if dist is not root and dist.name not in first_party and dist.source is not SourceKind.REGISTRY:
            what, fix = _UNSUPPORTED[dist.source]
            text = f"{dist.name} {dist.version or ''} comes from {what} ({dist.source_value})".replace("  ", " ")
            fix += ", or name it as a first-party package in the release file"
            problems.append(Problem(text, _where(lock, dist), "only what an index pins by sha256 can be packaged", fix))
        if dist.version is None and not (dist is root and root_version):
            fix = "give its version in the release file"
            problems.append(Problem(f"{dist.name} has no version in the lock", _where(lock, dist), fix=fix))
    if problems:
        raise LockError(*problems)


def _selected(node: _Node, root_version: Version | None) -> SelectedDist:
    dist, version = node.dist, node.dist.version or root_version
    if version is None:
        raise AssertionError(f"{dist.name} passed the checks without a version")
    extras, requires = frozenset(node.extras), tuple(sorted(node.requires))
    return SelectedDist(dist.name, version, extras, requires, dist.sdist, dist.wheels, dist.line)


def _key(dist: LockedDist) -> tuple[str, Version | None, str]:
    return dist.name, dist.version, dist.source_value


def _where(lock: UvLock, dist: LockedDist) -> str:
    return f"{lock.path}:{dist.line}"

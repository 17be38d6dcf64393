"""Give every path of the tree to one EL9-named RPM, and every RPM its version and requirements."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.errors import Problem, StandinError
from elpack.standin.mapping import RpmRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from elpack.standin.dpkg import Deb
    from elpack.standin.mapping import StandinMapping

SHARED = "filesystem"
"""Owner of every folder that belongs to no single RPM; all others need it installed first."""

_SHOWN = 10


class Kind(StrEnum):
    """What a path is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Node:
    """One path of the tree, absolute as the target will see it."""

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class StandinRpm:
    """One RPM to be made; its release holds a digest of what it is made from."""

    name: str
    version: str
    release: str
    debs: tuple[str, ...]
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    nodes: tuple[Node, ...]


@dataclass(slots=True)
class _Draft:
    rule: RpmRule
    debs: list[Deb] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


def partition(
    debs: Sequence[Deb],
    mapping: StandinMapping,
    nodes: Iterable[Node],
    ours: Mapping[str, tuple[str, str]],
    dist_tag: str,
) -> tuple[StandinRpm, ...]:
    """Split the tree, sorted by RPM name.

    ours: what elpack itself put into the tree, as path → (RPM, digest of the content); an empty RPM leaves
    the path with its Debian package.
    Raises `StandinError` naming files that no package owns.
    """
    drafts = _drafts(debs, mapping)
    owners = _owners(debs, mapping, ours)
    skipped = {path for deb in debs if deb.name in mapping.skip for path in deb.paths}
    unowned = []
    for node in nodes:
        if mapping.leaves_out(node.path) and node.path not in ours:
            continue
        names = owners.get(node.path, ())
        if not names and node.path in skipped:
            continue
        if node.kind is Kind.FOLDER:
            drafts[names[0] if len(names) == 1 else SHARED].nodes.append(node)
        elif names:
            drafts[names[0]].nodes.append(node)
        else:
            unowned.append(node.path)
    if unowned:
        _refuse(unowned)
    versions = {deb.name: deb for deb in debs}
    requires = _requirements(drafts.values(), mapping, versions)
    return tuple(_finish(drafts[name], requires[name], ours, versions, dist_tag) for name in sorted(drafts))


def _drafts(debs: Sequence[Deb], mapping: StandinMapping) -> dict[str, _Draft]:

    present = {deb.name: deb for deb in debs if deb.name not in mapping.skip}
    drafts = {}
    for rule in mapping.rules:
        if found := [present[name] for name in rule.debs if name in present]:
            drafts[rule.name] = _Draft(rule, found)
        elif rule.version or rule.version_of or rule.name == SHARED:
            drafts[rule.name] = _Draft(rule)
    mapped = mapping.rpm_of()
    for name, deb in present.items():
        if name not in mapped:
            drafts[name] = _Draft(RpmRule(name, (name,)), [deb])
    return drafts


def _owners(
    debs: Sequence[Deb], mapping: StandinMapping, ours: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, ...]]:
    rpm_of = mapping.rpm_of()
    owners: dict[str, tuple[str, ...]] = {}
    for deb in debs:
        if deb.name in mapping.skip:
            continue
        rpm = rpm_of.get(deb.name, deb.name)
        for path in deb.paths:
            moved = _moved(path, mapping)
            if rpm not in owners.get(moved, ()):
                owners[moved] = (*owners.get(moved, ()), rpm)
    owners |= {path: (rpm,) for path, rpm in mapping.owners.items()}
    owners |= {link.path: (link.rpm,) for link in mapping.links}
    return owners | {path: (rpm,) for path, (rpm, _) in ours.items() if rpm}


def _moved(path: str, mapping: StandinMapping) -> str:
    for old, new in mapping.moves.items():
        if path == old or path.startswith(old + "/"):
            return new + path[len(old) :]
    return path


def _requirements(
    drafts: Iterable[_Draft], mapping: StandinMapping, present: Mapping[str, Deb]
) -> dict[str, tuple[str, ...]]:
    rpm_of = mapping.rpm_of()
    virtual = {name: deb.name for deb in present.values() for name in deb.provides}
    requires = {}
    for draft in drafts:
        wanted = set(draft.rule.requires)
        for alternatives in (group for deb in draft.debs for group in deb.depends):
            chosen = (virtual.get(name, name) for name in alternatives)
            deb = next((name for name in chosen if name in present), None)
            if deb is not None and deb not in mapping.skip:
                wanted.add(rpm_of.get(deb, deb))
        requires[draft.rule.name] = tuple(sorted(wanted - draft.rule.without - {draft.rule.name, SHARED}))
    return requires


def _finish(
    draft: _Draft,
    requires: tuple[str, ...],
    ours: Mapping[str, tuple[str, str]],
    present: Mapping[str, Deb],
    dist_tag: str,
) -> StandinRpm:
    rule = draft.rule
    main = present.get(rule.version_of) or next(iter(draft.debs), None)
    nodes = tuple(sorted(draft.nodes, key=lambda node: node.path))
    facts = [
        [[deb.name, deb.version, deb.sha256] for deb in draft.debs],
        [[node.path, node.kind, ours.get(node.path, ("", ""))[1]] for node in nodes],
        [rule.provides, requires, rule.version, main.version if main else ""],
    ]
    # in the release, so that no cache keyed by name and version (mock's root cache) serves yesterday's content
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    return StandinRpm(
        name=rule.name,
        version=rule.version or (main.upstream if main else "9"),
        release=f"{main.revision if main else 1}.{digest}{dist_tag}",
        debs=tuple(sorted(deb.name for deb in draft.debs)),
        provides=rule.provides,
        requires=requires,
        nodes=nodes,
    )


def _refuse(unowned: list[str]) -> None:
    shown = ", ".join(sorted(unowned)[:_SHOWN])
    raise StandinError(
        Problem(
            f"{len(unowned)} files belong to no package: {shown}",
            where="elpack/standin/packages.toml",
            why="a Debian package brought files that the mapping does not know",
            fix="name them under exclude, links or owners",
        )
    )

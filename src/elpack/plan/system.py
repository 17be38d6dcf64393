"""Layout `system`: what is left to the target's own packages, and one package for each dist that is not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.errors import Problem
from elpack.model import Policy, SdistFacts
from elpack.naming import rpm_name
from elpack.plan.model import BuildRequire, Extra, NodeId, Package, Role
from elpack.plan.packages import (
    dist_package,
    facts_of,
    override_notes,
    override_of,
    system_node,
    with_changelog,
)
from elpack.requirements import applicable, provided_version, rpm_requirements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

    from elpack.model import SelectedDist
    from elpack.naming import RpmName
    from elpack.plan.facts import Inputs
    from elpack.targets.shipped import Shipped


def settle(inputs: Inputs, shipped: Mapping[NormalizedName, Shipped]) -> Inputs:
    """Leave to the target what the target ships, and what only that would need.

    What the target ships in a version that the closure cannot use is refused (`Inputs.refused`), unless the release
    file allows this dist to be replaced by name.
    """
    release, closure = inputs.release, inputs.selection.by_name()
    allowed = release.system.replace if release.system else {}
    roots = [name for name in release.system_packages() if name in closure]
    theirs = {name: shipped[name] for name in sorted(closure.keys() & shipped.keys()) if name not in allowed}
    kept: set[NormalizedName] = set()
    wanted: dict[NormalizedName, list[tuple[NormalizedName, Requirement]]] = {}
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in kept:
            continue
        kept.add(name)
        for requirement in _requirements(inputs, closure[name]):
            required = canonicalize_name(requirement.name)
            if required in theirs:
                wanted.setdefault(required, []).append((name, requirement))
            elif required in closure:
                queue.append(required)
    refused = [_replaced(theirs[name], inputs) for name in roots if name in theirs]
    refused += [problem for name in sorted(wanted) if (problem := _unusable(theirs[name], wanted[name], inputs))]
    left = [theirs[name] for name in sorted(wanted) if name not in kept]
    notices = [f"{one.dist} is left to the target, whose {one.repository} ships {one.rpm}" for one in left]
    notices += [
        f"{one.rpm} of the target's {one.repository} is replaced: {allowed[name]}"
        for name, one in sorted(shipped.items())
        if name in kept and name in allowed
    ]
    dists = tuple(dist for dist in inputs.selection.dists if dist.name in kept)
    return replace(
        inputs,
        selection=replace(inputs.selection, dists=dists),
        chosen={name: choice for name, choice in inputs.chosen.items() if name in kept},
        notices=(*inputs.notices, *notices),
        left=frozenset(one.dist for one in left),
        replaced={name: one.rpm for name, one in shipped.items() if name in kept and name in allowed},
        refused=tuple(refused),
    )


def system_package(inputs: Inputs, dist: SelectedDist) -> Package | None:
    """Return the package of one dist, named and placed as Fedora and EPEL do; None where the dist has no file."""
    facts = facts_of(inputs, inputs.chosen[dist.name])
    if facts is None:
        return None
    release, override = inputs.release, override_of(inputs, dist.name)
    own = dist.name in release.first_party_names()
    application = dist.name == release.application.name and not release.application.library
    role = Role.APPLICATION if application else Role.FIRST_PARTY if own else Role.THIRD_PARTY
    package = dist_package(inputs, dist, inputs.chosen[dist.name], facts)
    if own:
        package = with_changelog(inputs, package, dist.version)
    requirements = applicable(facts.metadata.requires_dist, inputs.target.marker_environment())
    drop, kept = (tuple(entry.value for entry in entries) for entries in (override.drop, override.keep_source))
    # what a build hook compiles lies where the hook likes it
    plain = isinstance(facts, SdistFacts) and facts.plain and not (package.native or package.must_have or kept)
    return replace(
        package,
        node=system_node(dist.name),
        role=role,
        rpm=release.application.rpm if application else system_rpm(inputs, dist.name),
        prefix="/usr",
        template="wheel.spec.j2" if package.policy is Policy.WHEEL else "system.spec.j2",
        pinned=False,
        build_requires=(BuildRequire(inputs.target.devel_rpm, "its generators say what the package provides"),),
        requires=_rpm_requires(inputs, requirements),
        needs=_nodes(inputs, requirements),
        extras=tuple(_extra(inputs, dist, extra) for extra in _metapackages(inputs, dist)),
        provides=release.application.provides if application else (),
        script_suffix="" if application else f"-{inputs.target.python}",
        top_level=facts.modules if isinstance(facts, SdistFacts) else (),
        scripts=_scripts(facts, drop) if plain else (),
        plain=plain,
        drop=drop,
        keep_source=kept,
        notes=override_notes(override),
    )


def system_rpm(inputs: Inputs, name: NormalizedName) -> RpmName:
    """Return ``python3.12-<dist>``, or the very name of what it takes the place of (``python3.12-PyMySQL``)."""
    return inputs.replaced.get(name) or rpm_name(f"python{inputs.target.python}-{name}")


def _requirements(inputs: Inputs, dist: SelectedDist) -> list[Requirement]:
    """Return the requirements of a dist and of its extras that hold on the target."""
    facts = facts_of(inputs, inputs.chosen[dist.name])
    if facts is None:
        return []
    texts, environment = facts.metadata.requires_dist, inputs.target.marker_environment()
    extras = ("", *sorted({*dist.extras, *inputs.release.system_extras(dist.name)}))
    return [requirement for extra in extras for requirement in applicable(texts, environment, extra)]


def _replaced(one: Shipped, inputs: Inputs) -> Problem:
    return Problem(
        f"{inputs.target.title} ships {one.rpm} in its {one.repository}, and the release would replace it",
        where=f"{one.dist} ({inputs.target})",
        why="other packages of the target were tested with theirs",
        fix=f'[system.replace] {one.dist} = "the reason", in elpack.toml; or layout = "stack"',
    )


def _unusable(one: Shipped, wanted: list[tuple[NormalizedName, Requirement]], inputs: Inputs) -> Problem | None:
    """Return why the target's package cannot serve the closure, or None when it can."""
    bad = [f"{name} requires {_asked(requirement)}" for name, requirement in wanted if not _serves(one, requirement)]
    if not bad and one.enabled:
        return None
    version = f" {one.version}" if one.version else " in a version that is not known"
    state = "" if one.enabled else ", a repository that is not enabled for this target"
    what = f"{inputs.target.title} ships {one.rpm}{version} in its {one.repository}{state}"
    return Problem(
        f"{what}; {'; '.join(bad) or 'it is needed'}",
        where=f"{one.dist} ({inputs.target})",
        why="the release would have to replace it, and other packages of the target were tested with theirs",
        fix=f'[system.replace] {one.dist} = "the reason", in elpack.toml; or layout = "stack", which replaces nothing',
    )


def _serves(one: Shipped, requirement: Requirement) -> bool:
    """Tell whether the target's package surely meets a requirement. Which extras it has packages for, nobody knows."""
    known = one.version is not None and requirement.specifier.contains(one.version, prereleases=True)
    return not requirement.extras and (known or not requirement.specifier)


def _asked(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _rpm_requires(inputs: Inputs, requirements: list[Requirement]) -> tuple[str, ...]:
    """Return requirements as rpm spells them. An extra that asks for nothing has no package and is left out.

    So is what no RPM can require, which the checker tells.
    """
    found: dict[str, None] = {}
    for requirement in requirements:
        with suppress(ValueError):
            found |= dict.fromkeys(rpm_requirements(_without_empty_extras(inputs, requirement), inputs.target.python))
    return tuple(sorted(found))


def _without_empty_extras(inputs: Inputs, requirement: Requirement) -> Requirement:
    dist = inputs.selection.by_name().get(canonicalize_name(requirement.name))
    if dist is None or not requirement.extras:
        return requirement
    real = {canonicalize_name(extra) for extra in requirement.extras} & set(_metapackages(inputs, dist))
    copy = type(requirement)(str(requirement))
    copy.extras = set(real)
    return copy


def _metapackages(inputs: Inputs, dist: SelectedDist) -> tuple[NormalizedName, ...]:
    """Return the extras that get a metapackage: those that the release names, and those the closure asks for."""
    named = set(inputs.release.system_extras(dist.name))
    facts = facts_of(inputs, inputs.chosen[dist.name])
    texts, environment = facts.metadata.requires_dist if facts else (), inputs.target.marker_environment()
    return tuple(sorted(named | {extra for extra in dist.extras if applicable(texts, environment, extra)}))


def _extra(inputs: Inputs, dist: SelectedDist, extra: NormalizedName) -> Extra:
    facts = facts_of(inputs, inputs.chosen[dist.name])
    texts, spellings = (facts.metadata.requires_dist, facts.metadata.extras) if facts else ((), ())
    requirements = applicable(texts, inputs.target.marker_environment(), extra)
    spelling = _spelling(extra, spellings)
    offer = f"python{inputs.target.python}dist({dist.name}[{extra}]) = {provided_version(dist.version)}"
    return Extra(
        name=extra,
        rpm=rpm_name(f"{system_rpm(inputs, dist.name)}+{spelling}"),
        requires=_rpm_requires(inputs, requirements),
        needs=_nodes(inputs, requirements),
        provides=() if spelling == extra else (offer,),
    )


def _spelling(extra: NormalizedName, spellings: Iterable[str]) -> str:
    """Return what rpm's generator takes for the name of an extra: the metadata's own spelling, without capitals."""
    known = {spelling.lower() for spelling in spellings if canonicalize_name(spelling) == extra}
    return extra if extra in known or not known else min(known)


def _nodes(inputs: Inputs, requirements: list[Requirement]) -> tuple[NodeId, ...]:
    """Return the packages of the plan behind requirements, and behind those of the extras that they ask for."""
    closure, environment = inputs.selection.by_name(), inputs.target.marker_environment()
    found: set[NormalizedName] = set()
    seen: set[tuple[NormalizedName, str]] = set()
    queue = list(requirements)
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        facts = facts_of(inputs, inputs.chosen[name]) if name in closure else None
        if facts is None:
            continue
        found.add(name)
        for extra in requirement.extras:
            if (name, extra) not in seen:
                seen.add((name, extra))
                queue += applicable(facts.metadata.requires_dist, environment, extra)
    return tuple(system_node(name) for name in sorted(found))


def _scripts(facts: object, drop: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(facts, SdistFacts):
        return ()
    return tuple(script.name for script in facts.scripts if f"bin/{script.name}" not in drop)

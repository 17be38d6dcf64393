"""The rules of layout `system`, where packages share names and places with the target's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.errors import Problem
from elpack.model import Layout
from elpack.requirements import applicable, rpm_requirements
from elpack.targets.shipped import shipped_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan


def replaces_the_targets(_plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A dist that the target's own repositories ship, in a version that the closure cannot use.

    Name it under [system.replace] if the hosts have nothing that needs the target's; else take layout `stack`.
    """
    yield from inputs.refused


def replaces_nothing(_plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A dist under [system.replace] that none of the release's targets ships. Remove the entry."""
    allowed = inputs.release.system.replace if inputs.release.system else {}
    shipped = {name for choice in inputs.release.targets for name in shipped_data(choice.name).dists[choice.python]}
    for name in sorted(allowed.keys() - shipped):
        yield Problem("no target ships it", where=f"elpack.toml: system.replace.{name}", fix="remove the entry")


def unsatisfied_extra(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A metapackage that could not be installed, because the closure does not hold what its extra asks for.

    Leave the extra out of [system.extras], or add its requirements to the project that the lock is made for.
    """
    if not inputs.release.application.lock:
        return
    closure = inputs.selection.by_name()
    for package in plan.packages:
        metadata = inputs.facts[package.sources[0].sha256].metadata if package.extras else None
        for extra in package.extras:
            texts = metadata.requires_dist if metadata else ()
            for requirement in applicable(texts, inputs.target.marker_environment(), extra.name):
                name = canonicalize_name(requirement.name)
                if name not in closure and name not in inputs.left:
                    yield Problem(
                        f"extra {extra.name} requires {requirement.name}, which the release does not hold",
                        where=f"elpack.toml: system.extras.{package.dist}",
                        fix=f"leave {extra.name} out",
                    )


def unknown_extra(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """An extra under [system.extras] that the dist does not have.

    Mend its name.
    """
    for package in plan.packages:
        known = inputs.facts[package.sources[0].sha256].metadata.extras if package.extras else ()
        for extra in package.extras:
            if extra.name not in {canonicalize_name(name) for name in known}:
                yield Problem(
                    f"{package.dist} has no extra {extra.name}",
                    where=f"elpack.toml: system.extras.{package.dist}",
                    fix=f"one of: {', '.join(sorted(known)) or 'none'}",
                )


def unspeakable_requirement(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A requirement that no RPM can make: a dist at a URL, or ``===`` with what is no version.

    Have the project require a version; or take layout `stack`, where the lock's graph takes the metadata's place.
    """
    environment = inputs.target.marker_environment()
    for package in plan.packages:
        texts = () if package.pinned else inputs.facts[package.sources[0].sha256].metadata.requires_dist
        for extra in ("", *(extra.name for extra in package.extras)):
            for requirement in applicable(texts, environment, extra):
                try:
                    rpm_requirements(requirement, inputs.target.python)
                except ValueError as error:
                    yield Problem(
                        f"requires {requirement.name}: {error}",
                        where=f"{package.dist} {package.upstream_version}",
                        fix="require a version in its metadata; or take layout stack",
                    )


def build_with_another(_plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A build requirement that the closure holds in a version that does not fit.

    In layout `system` a build root holds one version of each dist: the closure's. Lock the application so that it
    fits, or use layout `stack`, where builds have versions of their own.
    """
    if inputs.layout is not Layout.SYSTEM:
        return
    closure = {dist.name: dist.version for dist in inputs.selection.dists}
    for who, text in _build_requirements(inputs):
        for requirement in applicable((text,), inputs.target.marker_environment()):
            name = canonicalize_name(requirement.name)
            have = None if name in _accepted(inputs, who) else closure.get(name)
            if have is not None and not requirement.specifier.contains(have, prereleases=True):
                yield Problem(
                    f"is built with {requirement}, the closure has {have}",
                    where=str(who),
                    fix="lock for a version that serves both, or take layout stack",
                )


def _accepted(inputs: Inputs, name: NormalizedName) -> frozenset[str]:
    """Return the requirements whose version a human decided against the metadata.

    What one dist is to be built with, by an override, the build lock has in that version for all.
    """
    everywhere = {entry.value for override in inputs.overrides.values() for entry in override.build_dists}
    own = inputs.overrides.get(name)
    return frozenset({*everywhere, *(entry.value for entry in (own.unmet if own else ()))})


def _build_requirements(inputs: Inputs) -> Iterable[tuple[NormalizedName, str]]:
    """Yield what every build asks for, by the dist that is built or is needed to build."""
    for name, choice in (*inputs.chosen.items(), *inputs.chosen_build.items()):
        if choice.file is not None and choice.file.filename in inputs.build_requires:
            yield from ((name, text) for text in inputs.build_requires[choice.file.filename])
    for name, choice in inputs.chosen_build.items():
        if choice.file is not None and name not in inputs.chosen:
            yield from ((name, text) for text in inputs.facts[choice.file.sha256].metadata.requires_dist)


SYSTEM_RULES = (
    replaces_the_targets,
    replaces_nothing,
    unknown_extra,
    unsatisfied_extra,
    unspeakable_requirement,
    build_with_another,
)

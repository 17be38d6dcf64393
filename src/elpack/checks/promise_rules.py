"""The rules about what a release promises of its packages; what only a build can tell is asked in the build root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.errors import Problem
from elpack.plan.model import Role
from elpack.requirements import holds, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan


def broken_promise(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A dist that the release promises not to require, and that its closure or a first-party package requires.

    Find out since when, and have the requirement taken out; or take the promise back.
    """
    closure, environment = inputs.selection.by_name(), inputs.target.marker_environment()
    for position, name in enumerate(inputs.release.promises.not_required):
        guilty = {dist.name for dist in closure.values() if name in dist.requires}
        for package in plan.packages:
            dist = closure.get(package.dist)
            if dist is None or package.role not in (Role.FIRST_PARTY, Role.APPLICATION):
                continue
            declared = parsed(inputs.facts[package.sources[0].sha256].metadata.requires_dist)
            about = [requirement for requirement in declared if canonicalize_name(requirement.name) == name]
            if any(holds(requirement, environment, extra) for requirement in about for extra in ("", *dist.extras)):
                guilty.add(package.dist)
        if guilty or name in closure:
            by = f"required by {', '.join(sorted(guilty))}" if guilty else "it is in the closure"
            yield Problem(
                f"the release promises not to require {name}, but does",
                where=f"elpack.toml: promises.not-required[{position}]",
                why=by,
                fix=f"have the requirement of {name} taken out and lock again; or take the promise back",
            )


PROMISE_RULES = (broken_promise,)

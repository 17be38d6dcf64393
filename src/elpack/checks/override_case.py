"""An override beside the packages that it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from elpack.model import SdistFacts, WheelFacts
from elpack.plan.model import Role
from elpack.plan.paths import wheel_path
from elpack.plan.taken import taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.model import SelectedDist
    from elpack.overrides import Override
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package, Plan

_NO_DIST = (Role.MACROS, Role.RUNTIME, Role.BUNDLE)


@dataclass(frozen=True, slots=True)
class Case:
    """One override, and the packages of the plan that come of its dist: of the closure's, of the build lock's."""

    inputs: Inputs
    override: Override
    packages: tuple[Package, ...]
    dist: SelectedDist | None
    """The closure's."""

    @property
    def sdists(self) -> list[tuple[Package, SdistFacts]]:
        """The packages that are compiled, with what their sdists hold."""
        pairs = ((package, self.inputs.facts[package.sources[0].sha256]) for package in self.packages)
        return [(package, facts) for package, facts in pairs if isinstance(facts, SdistFacts)]

    @property
    def wheels(self) -> list[tuple[Package, WheelFacts]]:
        """The packages that are a repackaged wheel, with what that holds."""
        pairs = ((package, self.inputs.facts[package.sources[0].sha256]) for package in self.packages)
        return [(package, facts) for package, facts in pairs if isinstance(facts, WheelFacts)]

    def is_alike_everywhere(self) -> bool:
        """Tell whether no other target or layout takes the dist in a version or way that is not seen here."""
        inputs = self.inputs
        closure = [dist for dist in inputs.selection.dists if dist.name == self.override.name]
        build = [dist for dist in inputs.build if dist.name == self.override.name]
        own = chain(
            taken(closure, inputs.chosen, inputs.target, inputs.release),
            taken(build, inputs.chosen_build, inputs.target, inputs.release),
        )
        here = {one for _, one in own}
        return inputs.elsewhere.get(self.override.name, frozenset()) <= here


def cases(plan: Plan, inputs: Inputs) -> Iterator[Case]:
    """Yield the overrides that concern packages of the plan, sorted by dist."""
    closure = inputs.selection.by_name()
    dists = [package for package in plan.packages if package.sources and package.role not in _NO_DIST]
    for name, override in sorted(inputs.overrides.items()):
        packages = tuple(package for package in dists if package.dist == name)
        if packages:
            yield Case(inputs, override, packages, closure.get(name))


def installed(facts: WheelFacts, inputs: Inputs) -> Iterator[str]:
    """Yield the paths below the prefix of all that an installer would make of a wheel."""
    yield from (wheel_path(file.path, inputs.target.python) for file in facts.files)
    yield from (f"bin/{script.name}" for script in (*facts.console_scripts, *facts.gui_scripts))


def below_site_packages(path: str) -> str:
    """Return a path below the prefix as one below site-packages, empty if it is not there."""
    head, found, inside = path.partition("/site-packages/")
    return inside if found and head.startswith("lib") else ""

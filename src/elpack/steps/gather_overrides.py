"""What overrides are judged by, beside the plan: files that they cite, and how other targets take the same dists."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from elpack.archives import sdist_members
from elpack.buildlock import read_build_lock
from elpack.errors import BuildLockError, LockError
from elpack.model import Layout, Policy
from elpack.plan.policy import choose_file, target_tags
from elpack.plan.taken import taken
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.config import Release
    from elpack.model import Target
    from elpack.overrides import Override
    from elpack.plan.policy import Choice
    from elpack.plan.taken import Taken
    from elpack.steps.closure import Closure


def cited_files(
    overrides: Mapping[NormalizedName, Override], chosen: Mapping[NormalizedName, Choice], paths: Mapping[str, Path]
) -> dict[tuple[str, str], str]:
    """Return the text of each file in an sdist that an override cites as proof, by the sdist's sha256 and the path.

    What the sdist does not hold is left out.
    """
    found: dict[tuple[str, str], str] = {}
    for name, override in overrides.items():
        wanted = {entry.file for entry in override.bundled}
        choice = chosen.get(name)
        if wanted and choice is not None and choice.file is not None and choice.policy is Policy.SDIST:
            for inside, content in sdist_members(paths[choice.file.sha256], wanted).items():
                found[choice.file.sha256, inside] = content.decode(errors="replace")
    return found


def taken_elsewhere(
    release: Release, target: Target, layout: Layout, close: Callable[[Target, Layout], Closure], build_lock: str
) -> dict[NormalizedName, frozenset[Taken]]:
    """Return how all other targets and layouts of the release take each dist.

    A lock that cannot serve one of them is told when that one is planned.
    """
    found: dict[NormalizedName, set[Taken]] = defaultdict(set)
    for other, other_layout in _variants(release):
        if (other, other_layout) == (target, _of_one_plan(layout)):
            continue
        try:
            closure = close(other, other_layout)
            build = read_build_lock(build_lock, "pylock.build.toml", other)
        except (LockError, BuildLockError):
            continue
        ranks = target_tags(other)
        chosen_build = {dist.name: choose_file(dist, other, ranks) for dist in build}
        for dists, chosen in ((closure.selection.dists, closure.chosen), (build, chosen_build)):
            for name, one in taken(dists, chosen, other, release):
                found[name].add(one)
    return {name: frozenset(ways) for name, ways in found.items()}


def _variants(release: Release) -> Iterator[tuple[Target, Layout]]:
    layouts = dict.fromkeys(_of_one_plan(layout) for layout in release.layouts)
    for choice in release.targets:
        for arch in choice.arches:
            for layout in layouts:
                yield resolve_target(choice, arch), layout


def _of_one_plan(layout: Layout) -> Layout:
    """Return the layout whose packages these are: a bundle is made of the stack's."""
    return Layout.STACK if layout is Layout.BUNDLE else layout

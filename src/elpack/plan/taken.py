"""How targets take dists: which version of each, and as what. By it one tells whether an override is for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.plan.policy import choose_file, target_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.config import Release
    from elpack.model import Policy, SelectedDist, Target
    from elpack.plan.policy import Choice


@dataclass(frozen=True, slots=True)
class Taken:
    """How a target takes a dist: its version, wheel or sdist, and what it would be if nobody had asked for an sdist."""

    version: Version
    policy: Policy
    unasked: Policy


def taken(
    dists: Iterable[SelectedDist], chosen: Mapping[NormalizedName, Choice], target: Target, release: Release
) -> Iterator[tuple[NormalizedName, Taken]]:
    """Yield how the target takes each of the dists, which are a closure's or a build lock's."""
    ranks, own = target_tags(target), release.first_party_names()
    for dist in dists:
        if dist.name in chosen:
            unasked = choose_file(dist, target, ranks, first_party=dist.name in own)
            yield dist.name, Taken(dist.version, chosen[dist.name].policy, unasked.policy)

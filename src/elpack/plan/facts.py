"""Everything that the planner may look at, gathered by the pipeline before it plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.model import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from elpack.changelog import Entry
    from elpack.config import Release
    from elpack.errors import Problem
    from elpack.model import SdistFacts, SelectedDist, Selection, Target, WheelFacts
    from elpack.naming import RpmName
    from elpack.overrides import Override
    from elpack.plan.model import Source
    from elpack.plan.policy import Choice
    from elpack.plan.taken import Taken


@dataclass(frozen=True, slots=True)
class Inputs:
    """The whole input of a plan; equal inputs give equal plans.

    version: the release's, which is its application's. layout: the one that is planned.

    left: the dists that layout `system` leaves to the target's own packages; replaced: the target's RPMs whose place
    it takes; refused: what it must not do there.

    chosen: the file of each dist of the closure. build: the dists of the build lock that the target needs, and
    chosen_build their files. facts: what each chosen file holds, by sha256. build_requires: what each sdist's
    build needs, by file name. assets: the release's own files, by path below the release file. cited: the files in
    sdists that overrides cite as proof, by the sdist's sha256 and their path; one that is not there is missing.
    elsewhere: how the release's other targets take each dist.
    """

    release: Release
    target: Target
    selection: Selection
    chosen: Mapping[NormalizedName, Choice]
    build: tuple[SelectedDist, ...]
    chosen_build: Mapping[NormalizedName, Choice]
    facts: Mapping[str, WheelFacts | SdistFacts]
    overrides: Mapping[NormalizedName, Override]
    build_requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    assets: Mapping[str, Source] = field(default_factory=dict)
    cited: Mapping[tuple[str, str], str] = field(default_factory=dict)
    elsewhere: Mapping[NormalizedName, frozenset[Taken]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    layout: Layout = Layout.STACK
    version: str = ""
    changelog: tuple[Entry, ...] = ()
    left: frozenset[NormalizedName] = frozenset()
    replaced: Mapping[NormalizedName, RpmName] = field(default_factory=dict)
    refused: tuple[Problem, ...] = ()

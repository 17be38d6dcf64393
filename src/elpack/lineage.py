"""The first-party packages of a release by what needs what, and why each was made anew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.naming import dist_name
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from packaging.utils import NormalizedName

    from elpack.model import SelectedDist

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Member:
    """One first-party package. needs: those others that it needs, directly or not. source: where its sdist is from."""

    name: NormalizedName
    version: str
    source: str
    sdist: str
    sha256: str
    needs: frozenset[NormalizedName] = frozenset()


def needed_by(dists: Iterable[SelectedDist], own: Collection[NormalizedName]) -> dict[NormalizedName, frozenset[Any]]:
    """Return for each of our own dists of a closure which others of ours it needs, also through others' dists."""
    requires = {dist.name: dist.requires for dist in dists}
    return {name: frozenset(_reached(name, requires)) & frozenset(own) for name in requires if name in own}


def _reached(start: NormalizedName, requires: Mapping[NormalizedName, tuple[NormalizedName, ...]]) -> set[Any]:
    seen: set[NormalizedName] = set()
    queue = list(requires[start])
    while queue:
        name = queue.pop()
        if name not in seen and name != start:
            seen.add(name)
            queue += requires.get(name, ())
    return seen


def in_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return the packages so that each comes after what it needs; those that need each other, by name."""
    return tuple(sorted(members, key=lambda member: (len(member.needs), member.name)))


@dataclass(frozen=True, slots=True)
class Record:
    """What finished runs left: for each place of results, the sdist's digest of each package that they are made of."""

    places: Mapping[str, Mapping[NormalizedName, str]] = field(default_factory=dict)

    def after(self, place: str, members: Iterable[Member]) -> Record:
        """Return the record once a place is finished."""
        return Record({**self.places, place: {member.name: member.sha256 for member in members}})

    def changed(self, place: str, members: Iterable[Member]) -> frozenset[NormalizedName]:
        """Return the packages whose source is not that of a place's last results."""
        before = self.places.get(place, {})
        return frozenset(member.name for member in members if before.get(member.name) != member.sha256)

    def why(self, place: str, member: Member, members: Collection[Member], *, made: bool) -> str:
        """Return, in a few words, why a package was made anew at a place, or why it was not."""
        before, changed = self.places.get(place), self.changed(place, members)
        touched = sorted(member.needs & changed)
        if not made:
            return "built before" if member.name in changed else "not changed"
        if before is None or member.name not in before:
            return "new"
        if member.name in changed:
            return "its source changed"
        return f"{', '.join(touched)} changed" if touched else "what it is built with changed"


def record_text(record: Record) -> str:
    """Return a record as its file holds it; it tells nothing of when and where."""
    places = {place: dict(sorted(digests.items())) for place, digests in sorted(record.places.items())}
    return json.dumps({"format": _FORMAT, "places": places}, indent=2) + "\n"


def parse_record(text: str | bytes) -> Record:
    """Return a record. Raises ValueError for what `record_text` did not write."""
    data = json_value(text)
    try:
        if data["format"] != _FORMAT:
            raise ValueError(f"it has format {data['format']!r:.40}")
        return Record(
            {
                str(place): {dist_name(name): str(sha256) for name, sha256 in digests.items()}
                for place, digests in data["places"].items()
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it has not the form that elpack writes ({error!r:.200})") from error

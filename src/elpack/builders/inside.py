"""What a builder's builds find beside their root, where they do not simply build for the architecture they run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inside:
    """Paths of this machine by where a build sees them, read-only, and variables that it has beside or instead of others.

    again: what to tell of how a failed build is seen again, if no script can do it.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    again: str = ""

    def words(self) -> tuple[str, ...]:
        """Return bubblewrap's words for it."""
        binds = [word for place, path in self.paths.items() for word in ("--ro-bind", str(path), place)]
        variables = [word for name, value in self.environment.items() for word in ("--setenv", name, value)]
        return (*binds, *variables)

"""What a builder's builds find beside their root, where they do not simply build for the architecture they run on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inside:
    """Paths of this machine by where a build sees them, read-only, and variables beside or instead of the usual ones.

    again: what to tell of how a failed build is seen again, for no script does that with all of it. asked: is told what
    %generate_buildrequires asks for, once it is in the root.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    again: str = ""
    asked: Callable[[Sequence[str]], object] = lambda _: None

    def words(self) -> tuple[str, ...]:
        """Return bubblewrap's words for it."""
        binds = [word for place, path in self.paths.items() for word in ("--ro-bind", str(path), place)]
        variables = [word for name, value in self.environment.items() for word in ("--setenv", name, value)]
        return (*binds, *variables)

"""What building a package gave: its RPMs, those for customers apart from those for debuggers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.model import Sha256
    from elpack.plan.model import NodeId, Plan
    from elpack.store import Entry, StoredFile

_DEBUG = re.compile(r"-debug(?:info|source)-[^-]+-[^-]+\.rpm$")


@dataclass(frozen=True, slots=True)
class Result:
    """One source package's RPMs and itself in the store. `seconds` is what building took, whenever that was."""

    node: NodeId
    entry: Entry
    cached: bool

    @property
    def seconds(self) -> float:
        """Wall seconds of the build that made it."""
        return float(self.entry.info["seconds"])

    @property
    def rpms(self) -> tuple[Path, ...]:
        """Binary RPMs without debug packages: one, or several if the package has subpackages."""
        return tuple(file.path for file in self._binary() if not self._is_debug(file))

    @property
    def debug(self) -> tuple[Path, ...]:
        """Debug packages, -debuginfo and -debugsource; none for what is not compiled."""
        return tuple(file.path for file in self._binary() if self._is_debug(file))

    @property
    def srpm(self) -> Path:
        """The source RPM."""
        return next(file.path for file in self.entry.files if file.path.name.endswith(".src.rpm"))

    def digests(self) -> list[Sha256]:
        """Return the digests of the RPMs that a build root may hold, which debug packages are not."""
        return [file.sha256 for file in self._binary() if not self._is_debug(file)]

    def _binary(self) -> list[StoredFile]:
        return [file for file in self.entry.files if not file.path.name.endswith(".src.rpm")]

    def _is_debug(self, file: StoredFile) -> bool:
        # a dist may be called foo-debuginfo; its own RPM has the source package's name
        own = file.path.name.startswith(f"{self.entry.info['name']}.")
        return not own and bool(_DEBUG.search(file.path.name))


def published(plan: Plan, results: Mapping[NodeId, Result]) -> list[Path]:
    """Return the binary RPMs that customers see, sorted by name."""
    paths = (path for package in plan.published() for path in results[package.node].rpms)
    return sorted(paths, key=lambda path: path.name)


def debug_packages(results: Mapping[NodeId, Result]) -> list[Path]:
    """Return the debug packages, sorted by name: of a bundle's parts, too, whose files are the bundle's."""
    return sorted((path for result in results.values() for path in result.debug), key=lambda path: path.name)

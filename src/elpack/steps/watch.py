"""Who is told what happens to the packages of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.plan.model import Package


class Watcher(Protocol):
    """Is told what happens to each package."""

    def started(self, packages: Sequence[Package]) -> None:
        """Take note that building of these has begun, in one root."""

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        """Take note that the package is in the store."""

    def postponed(self, packages: Sequence[Package]) -> None:
        """Take note that these were begun in one root with another that failed, and will be begun again."""

    def failed(self, package: Package) -> None:
        """Take note that the package did not build."""

    def notice(self, text: str) -> None:
        """Say something that the user should know."""


class Unwatched:
    """Watches and says nothing."""

    def started(self, packages: Sequence[Package]) -> None:
        """Take no note."""

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        """Take no note."""

    def postponed(self, packages: Sequence[Package]) -> None:
        """Take no note."""

    def failed(self, package: Package) -> None:
        """Take no note."""

    def notice(self, text: str) -> None:
        """Take no note."""

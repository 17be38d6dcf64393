"""Where things are on disk: the project's own files, the work folder, and what is handed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.model import Target


BUILDING = ("bwrap", "cross", "cross/sysroots")
"""Whose base roots builds start from."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one project. `file` is its release file; `work` can be deleted, at the price of time."""

    file: Path
    work: Path
    dist: Path

    @property
    def home(self) -> Path:
        """The folder of the release file, to which its paths are relative."""
        return self.file.parent

    @property
    def overrides(self) -> Path:
        """The folder of override files."""
        return self.home / "specs" / "overrides"

    @property
    def pypy_lock(self) -> Path:
        """The lock of build requirements of what is compiled for PyPy."""
        return self.home / "pylock.pypy.toml"

    def build_lock_of(self, target: Target) -> Path:
        """Return the lock of build requirements that serves a target."""
        return self.pypy_lock if target.pypy else self.build_lock

    @property
    def changelog(self) -> Path:
        """The changelogs of the first-party packages."""
        return self.home / "specs" / "changelog.toml"

    @property
    def build_lock(self) -> Path:
        """The lock of build requirements."""
        return self.home / "pylock.build.toml"

    @property
    def downloads(self) -> Path:
        """What came from the index, by file name."""
        return self.work / "downloads"

    @property
    def facts(self) -> Path:
        """What was read from archives, by sha256."""
        return self.work / "facts"

    @property
    def local_images(self) -> Path:
        """Images of who works on the application, by target; nobody else gets them."""
        return self.work / "images" / "local"

    @property
    def store(self) -> Path:
        """Finished work, by key."""
        return self.work / "store"

    @property
    def keys(self) -> Path:
        """The GnuPG home with the throwaway key of snapshots."""
        return self.work / "keys"

    @property
    def image_key(self) -> Path:
        """The throwaway key that signs snapshots of images; the folder of the others is replaced as a whole."""
        return self.work / "image.key"

    @property
    def lock(self) -> Path:
        """Held by the one run that may change the work folder and the results, with its process id inside."""
        return self.work / "run.lock"

    def bases(self, *users: str) -> list[Path]:
        """Return the finished base roots of who uses them; see `BUILDING`, and roots, for installations."""
        found = [path for user in users for path in sorted((self.work / user / "bases").glob("*"))]
        return [path for path in found if path.is_dir() and not path.name.startswith(".") and path.suffix != ".partial"]

    def output(self, target: Target) -> Path:
        """Return the folder with one target's results: repository, source RPMs, specs, logs, manifest."""
        return self.dist / target.name / target.arch

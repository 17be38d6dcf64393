"""Clean roots: a base made once, and for each build a copy of its own that costs nothing (overlayfs)."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.disk import mount_disk
from elpack.builders.environment import GROUP, UID, USER
from elpack.builders.limits import remove_recorded
from elpack.intact import remember
from elpack.run import Command, run
from elpack.store.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.run import Runner
    from elpack.tools.dnf import Dnf

_FORMAT = "2"
"""Raise it when a base root is made in another way than before."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Roots below `work`: bases/ by digest, live/ those in use. `dnf` knows the target's own repositories.

    With `build_user` the roots know the user that runs rpmbuild.
    """

    dnf: Dnf
    packages: tuple[str, ...]
    work: Path
    runner: Runner = run
    build_user: bool = False

    def digest(self) -> str:
        """Return what a base depends on: its packages, and the content of the repositories that they come from."""
        repomds = [self.dnf.repomd(repository) for repository in self.dnf.repositories]
        if any(path is None for path in repomds):
            self.dnf.refresh(self.work / "metadata.log")
            repomds = [self.dnf.repomd(repository) for repository in self.dnf.repositories]
        parts = [_FORMAT, self.dnf.arch, self.dnf.releasever, str(self.build_user), *sorted(self.packages)]
        parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in repomds if path and path.exists()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def base(self) -> Path:
        """Return the base root, making it if no earlier run did; only a finished one has its final name."""
        root = self.work / "bases" / self.digest()
        with locked(self.work / "bases.lock"):
            if not root.exists():
                partial = root.with_suffix(".partial")
                _remove(partial)
                self.dnf.install(partial, self.packages, root.with_suffix(".log"), where="the base root")
                if self.build_user:
                    _add_build_user(partial)
                remember(partial, root)
                partial.rename(root)
        return root

    @contextmanager
    def clean_root(self, disk: int = 0) -> Iterator[CleanRoot]:
        """Give a fresh copy of the base, and take it away again whatever happens.

        With `disk` it takes no more than so many bytes, where this host has loop devices.
        """
        with live_copy(self.base(), self.work, self.runner, disk) as root:
            yield root


@dataclass(frozen=True, slots=True)
class CleanRoot:
    """One live root: `path` is the root itself, `builddir` the build user's home, kept outside of it."""

    home: Path

    @property
    def path(self) -> Path:
        """Return the root's mount point."""
        return self.home / "root"

    @property
    def upper(self) -> Path:
        """Return the folder that takes what is written to the root."""
        return self.home / "upper"

    @property
    def scratch(self) -> Path:
        """Return overlayfs' own work folder."""
        return self.home / "scratch"

    @property
    def lock(self) -> Path:
        """Return the file beside the root whose lock says that the root is in use."""
        return self.home.with_suffix(".lock")

    @property
    def image(self) -> Path:
        """Return the file beside the root that its disk is made of."""
        return self.home.with_suffix(".img")

    @property
    def record(self) -> Path:
        """Return the file beside the root that names the control groups of what runs in it."""
        return self.home.with_suffix(".groups")

    @property
    def builddir(self) -> Path:
        """Return the folder that builds see as /builddir."""
        return self.home / "builddir"


@contextmanager
def live_copy(base: Path, work: Path, runner: Runner, disk: int = 0) -> Iterator[CleanRoot]:
    """Give a fresh copy of a root below `work`/live, and take it away again whatever happens; see `clean_root`."""
    live = work / "live"
    with locked(work / "live.lock"):
        sweep(live, runner)
        root = CleanRoot(Path(tempfile.mkdtemp(dir=live)))
        in_use = root.lock.open("w")
        fcntl.flock(in_use, fcntl.LOCK_EX)
    try:
        if disk:
            mount_disk(root.image, root.home, disk, runner)
        _mount(base, root, runner)
        yield root
    finally:
        _discard(root, runner)
        in_use.close()


def _mount(base: Path, root: CleanRoot, runner: Runner) -> None:
    for folder in (root.path, root.upper, root.scratch):
        folder.mkdir()
        # the layer's mode is that of /, where the build user must be able to go
        folder.chmod(0o755)
    if runner(mount_command(base, root)).returncode != 0:
        # overlayfs refuses to lie on another overlayfs, as in many containers: a copy does as well
        runner(Command(("cp", "--archive", "--reflink=auto", f"{base}/.", str(root.path)))).check()


def mount_command(base: Path, root: CleanRoot) -> Command:
    """Return the command that lays an empty layer over the base."""
    layers = f"lowerdir={base},upperdir={root.upper},workdir={root.scratch}"
    return Command(("mount", "-t", "overlay", "overlay", "-o", f"nosuid,nodev,{layers}", str(root.path)))


def sweep(live: Path, runner: Runner) -> None:
    """Remove the roots of runs that were killed: nobody holds their locks any more."""
    live.mkdir(mode=0o700, parents=True, exist_ok=True)
    for home in [path for path in live.iterdir() if path.is_dir()]:
        root = CleanRoot(home)
        with root.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _discard(root, runner)


def _discard(root: CleanRoot, runner: Runner) -> None:
    remove_recorded(root.record)
    unmount_below(root.home, runner)
    _remove(root.home)
    root.image.unlink(missing_ok=True)
    root.lock.unlink(missing_ok=True)


def unmount_below(folder: Path, runner: Runner) -> None:
    """Unmount all that is mounted below a folder, innermost first; a busy mount is detached."""
    for point in reversed(_mounts_below(folder)):
        for _ in range(10):
            if runner(Command(("umount", point))).returncode == 0:
                break
            time.sleep(0.1)  # the last process of a killed build may need a moment to go
        else:
            runner(Command(("umount", "--lazy", point))).check()


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    # field 5 is the mount point, with octal escapes for blanks
    points = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines]
    return [point for point in points if Path(point).is_relative_to(folder.resolve())]


def _add_build_user(root: Path) -> None:
    for name, line in (
        ("passwd", f"{USER}:x:{UID}:{UID}:build user:/builddir:/bin/sh"),
        ("group", f"{GROUP}:x:{UID}:"),
    ):
        with (root / "etc" / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _remove(tree: Path) -> None:
    if tree.exists():
        shutil.rmtree(tree)

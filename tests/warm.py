"""What tests take of work folders that runs of theirs, or of other workers, may be filling at the same time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.steps.exchange import link_or_copy

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNFINISHED = shutil.ignore_patterns(".*.part", ".*.new", ".part-*", ".lock")
"""What a run is writing just now: it gets its own name when it is whole. A lock is for one folder."""


def link_tree(source: Path, into: Path) -> None:
    """Give all finished files of a tree a second name: for what is never written through, only replaced."""
    shutil.copytree(source, into, symlinks=True, ignore=_UNFINISHED, copy_function=link_or_copy)


def link_trees(work: Path, into: Path, names: Iterable[str]) -> None:
    """Do so with those folders of a work folder that are there."""
    for name in names:
        if (work / name).exists():
            link_tree(work / name, into / name)


def unmount(folder: Path) -> None:
    """Take away what a test that failed, or was killed, left mounted below a folder."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        if line.split()[4].startswith(f"{folder}/"):
            subprocess.run(("umount", "--lazy", line.split()[4]), check=False)

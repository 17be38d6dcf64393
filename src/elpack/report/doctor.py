"""What the steps need of this machine, and what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from elpack.builders.emulation import MACHINE, emulation
from elpack.builders.limits import Mechanism
from elpack.engine.state import state
from elpack.model import ARCHES
from elpack.pipeline import PIPELINE, need_tools

if TYPE_CHECKING:
    from elpack.config import Release


def doctor_table(release: Release | None = None) -> Table:
    """Return one line per program: which steps need it, and where it is; and one per architecture of the release."""
    table = Table(box=None, header_style="bold")
    for heading in ("program", "needed to", "found"):
        table.add_column(heading)
    wanted: dict[str, list[str]] = {}
    for step in PIPELINE:
        for tool in step.tools:
            wanted.setdefault(tool, []).append(step.name)
        for tool in step.standin_tools:
            wanted.setdefault(tool, []).append("stand-in")
    for tool, steps in sorted(wanted.items()):
        table.add_row(tool, ", ".join(steps), shutil.which(tool) or "[red]missing[/]")
    table.add_row("rsync", "publish (to other hosts)", shutil.which("rsync") or "[dim]not installed, not needed[/]")
    table.add_row("mock", "build (instead of bwrap)", shutil.which("mock") or "[dim]not installed, not needed[/]")
    for tool in ("podman", "skopeo"):
        table.add_row(tool, "images", shutil.which(tool) or "[dim]not installed, needed for images only[/]")
    table.add_row("podman's service", "images", escape(state()))
    table.add_row("limits of builds", "build, lock, smoke", str(Mechanism.here()))
    loop = (
        "a file system of their own"
        if Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4")
        else "measured now and then: no loop devices, or no mkfs.ext4"
    )
    table.add_row("disk of builds", "build", loop)
    arches = {arch for target in release.targets for arch in target.arches} if release else set(ARCHES)
    for arch in sorted(arches - {MACHINE}):
        table.add_row(f"programs of {arch}", "build, install, smoke", escape(_foreign(arch, release)))
    table.add_row("root", "base, build, install", "yes" if os.geteuid() == 0 else "[red]no: use sudo[/]")
    return table


def _foreign(arch: str, release: Release | None) -> str:
    """Say what there is for an architecture that is not this machine's."""
    found = emulation(arch)
    worker = release.builds.workers.get(arch) if release else None
    emulated = f"run by {found.program}" if found.works else f"do not run here: {found.obstacle} ({found.fix})"
    return f"{emulated}; compiled by {' '.join(worker)}" if worker else emulated


def missing_tools() -> None:
    """Raise `ToolMissingError` with every program that is missing, those for a stand-in included."""
    need_tools(PIPELINE, standin=True)

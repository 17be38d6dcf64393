"""Removes what elpack made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from elpack.builders.roots import unmount_below
from elpack.run import run
from elpack.store import Store

if TYPE_CHECKING:
    from elpack.workspace import Workspace


def clean_up(workspace: Workspace, *, downloads: bool) -> None:
    """Remove results and the work folder; downloads and what was read from them stay unless asked for.

    Raises `StoreError` while another run is at work.
    """
    if workspace.work.exists():
        with Store(workspace.store):
            pass  # another run that uses what is about to go makes this raise
        # a killed build may have left a mount, and what is mounted must not be deleted
        unmount_below(workspace.work, run)
        kept = set() if downloads else {workspace.downloads, workspace.facts}
        for path in workspace.work.iterdir():
            if path in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if workspace.dist.exists():
        shutil.rmtree(workspace.dist)

"""Removes what elpack made."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from elpack.builders.roots import unmount_below
from elpack.engine.storage import remove_storage
from elpack.run import run
from elpack.steps.alone import alone, remove

if TYPE_CHECKING:
    from elpack.workspace import Workspace


def clean_up(workspace: Workspace, *, downloads: bool) -> None:
    """Remove results and the work folder; downloads and what was read from them stay unless asked for.

    Raises `StoreError` while another run is at work.
    """
    with alone(workspace):
        # a killed build may have left a mount, and what is mounted must not be deleted
        unmount_below(workspace.work, run)
        remove_storage(workspace.work, run)
        kept = {workspace.lock} if downloads else {workspace.lock, workspace.downloads, workspace.facts}
        for path in workspace.work.iterdir():
            if path not in kept:
                remove(path)
        shutil.rmtree(workspace.dist)
    workspace.lock.unlink()
    with contextlib.suppress(OSError):  # not if downloads are kept
        workspace.work.rmdir()

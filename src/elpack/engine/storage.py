"""Removes the storage of our podman."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from elpack.engine.configuration import place
from elpack.run import CLEAN_ENV, Command

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.run import Runner


def remove_storage(work: Path, runner: Runner) -> None:
    """Remove images, layers and settings. The caller holds the work folder, so that no service of ours is at work.

    What a service mounted is in its own namespace, and went with it: nothing below is somebody's mount. Without root
    the files are those of users that only podman can be.
    """
    where = place(work)
    if where.home.exists() and os.geteuid() != 0 and shutil.which("podman"):
        runner(Command(("podman", "unshare", "rm", "-rf", "--one-file-system", str(where.home)), env=CLEAN_ENV))
    shutil.rmtree(where.home, ignore_errors=True)
    shutil.rmtree(where.live, ignore_errors=True)

"""One run at a time works on a work folder and its results; the next one tidies up what a killed one left."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from elpack.builders.limits import remove_recorded
from elpack.builders.roots import sweep
from elpack.run import marked, run
from elpack.store.lock import held, held_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from elpack.run import Runner
    from elpack.workspace import Workspace

DOOMED = ".removed-"
"""Begins the name of what is being removed: cut short, it is no half thing under a name that somebody trusts."""

SANDBOX = "sandbox"
"""Where sdists of checkouts are made, by commands without this lock as well: they have one of their own."""

_DAY = 86_400.0

_SCRATCH = ("building", "lock")
"""Folders that are of no meaning to a later run."""


@contextmanager
def alone(workspace: Workspace, runner: Runner = run) -> Iterator[None]:
    """Keep other runs from the work folder and the results. `plan`, `check` and `spec` need no such thing.

    Whatever a killed run left is gone inside: processes, mounts, half-made folders. Raises `StoreError` while
    another run is at work.
    """
    workspace.work.mkdir(parents=True, exist_ok=True)
    workspace.dist.mkdir(parents=True, exist_ok=True)
    with held(workspace.lock), held_folder(workspace.dist), marked(workspace.work / "running"):
        _tidy(workspace.work, runner)
        yield


def remove(path: Path) -> None:
    """Remove a file or a folder. Nobody finds it half removed, whenever we are killed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    doomed = path.with_name(f"{DOOMED}{path.name}")
    if doomed.exists():
        shutil.rmtree(doomed)
    path.rename(doomed)
    shutil.rmtree(doomed)


def _tidy(work: Path, runner: Runner) -> None:
    for live in (*work.glob("*/live"), *work.glob("*/*/live")):
        sweep(live, runner)
    for record in work.glob("*/*.groups"):
        if record.parent.name != SANDBOX:
            remove_recorded(record)
    for path in (*work.glob(f"{DOOMED}*"), *(work / name for name in _SCRATCH)):
        shutil.rmtree(path, ignore_errors=True)
    for path in work.glob("sdists/*/*"):
        # a command without this lock may be reading a newer one, and renames what it has made
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _DAY:
                shutil.rmtree(path, ignore_errors=True)

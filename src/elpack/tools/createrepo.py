"""createrepo_c: the same packages give the same metadata, whenever and wherever it is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from elpack.errors import Problem, RepositoryError
from elpack.run import Command, run

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.run import Runner

_REVISION = "0"


def create_repository(folder: Path, runner: Runner = run) -> None:
    """Write repodata/ for the RPMs in a folder. Raises `RepositoryError` with what createrepo_c said."""
    argv = (
        *("createrepo_c", "--quiet", "--no-database", "--simple-md-filenames", "--general-compress-type", "gz"),
        *("--revision", _REVISION, "--set-timestamp-to-revision", "--workers", str(os.cpu_count() or 1)),
        str(folder),
    )
    done = runner(Command(argv))
    if done.returncode != 0:
        raise RepositoryError(Problem(f"createrepo_c ended with {done.returncode}\n{done.tail()}", where=str(folder)))

"""createrepo_c: the same packages give the same metadata, whenever and wherever it is made."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from elpack.errors import DiskFullError, Problem, RepositoryError, says_full
from elpack.run import Command, run
from elpack.tools.rpm import build_times

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.run import Runner

_REVISION = "0"
_DAY = 86400


def create_repository(folder: Path, runner: Runner = run) -> None:
    """Write repodata/ for the RPMs in a folder, whose times are settled first.

    The names of its files hold their digests: a client that has read one repomd.xml finds the files that it names also
    after the next one was published.

    Raises `RepositoryError` with what createrepo_c said, and `CommandError` when rpm cannot read one of the files.
    """
    settle_times(folder, runner)
    argv = (
        *("createrepo_c", "--quiet", "--no-database", "--unique-md-filenames", "--general-compress-type", "gz"),
        *("--revision", _REVISION, "--set-timestamp-to-revision", "--workers", str(os.cpu_count() or 1)),
        str(folder),
    )
    done = runner(Command(argv))
    if done.returncode != 0:
        kind = DiskFullError if says_full(done.tail()) else RepositoryError
        raise kind(Problem(f"createrepo_c ended with {done.returncode}\n{done.tail()}", where=str(folder)))


def settle_times(folder: Path, runner: Runner = run) -> None:
    """Give each RPM of a folder a time that hangs on its content alone, for the metadata holds it.

    It is the time at which rpm says that it was built, plus less than a day that is made of its digest: rsync and
    web caches take files of one name, size and time for the same, so another content needs another time.
    """
    paths = sorted(folder.glob("*.rpm"))
    for path, built in zip(paths, build_times(paths, runner), strict=True):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        time = built + int.from_bytes(digest[:4], "big") % _DAY
        os.utime(path, (time, time))

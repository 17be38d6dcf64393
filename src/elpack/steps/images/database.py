"""Reads an installed root's rpm database, and makes the one that goes into an image."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.images.rpmdb import fixed_database, read_database
from elpack.run import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.images.rpmdb import InstalledPackage
    from elpack.run import Runner

_OPTIONS = ("--define", "_db_backend sqlite")
_WRITE, _READ = 'exec "$@" > "$0"', 'exec "$@" < "$0"'


def export_database(root: Path, scratch: Path, runner: Runner) -> tuple[InstalledPackage, ...]:
    """Return the packages that are installed in a root. Raises `ImageError` when rpm or we cannot read them."""
    with tempfile.TemporaryDirectory(prefix="database-", dir=scratch) as home:
        exported = Path(home) / "headers"
        command = ("rpmdb", "--root", str(root), "--dbpath", "/var/lib/rpm", *_OPTIONS, "--exportdb")
        runner(Command(("sh", "-c", _WRITE, str(exported), *command))).check()
        try:
            return read_database(exported.read_bytes())
        except ValueError as error:
            raise ImageError(Problem(str(error), where=f"{root}/var/lib/rpm")) from error


def import_database(
    packages: Iterable[InstalledPackage], when: int, signed: Iterable[str], scratch: Path, runner: Runner
) -> bytes:
    """Return rpmdb.sqlite with these packages, the same bytes for the same ones; see `fixed_database`."""
    with tempfile.TemporaryDirectory(prefix="database-", dir=scratch) as home:
        headers, database = Path(home) / "headers", Path(home) / "rpm"
        headers.write_bytes(fixed_database(packages, when, signed))
        database.mkdir()
        command = ("rpmdb", "--dbpath", str(database), *_OPTIONS, "--importdb")
        runner(Command(("sh", "-c", _READ, str(headers), *command))).check()
        _in_one_file(database / "rpmdb.sqlite")
        return (database / "rpmdb.sqlite").read_bytes()


def _in_one_file(database: Path) -> None:
    """Have no write-ahead log: with one, nobody reads the database on a file system that he may not write to."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")

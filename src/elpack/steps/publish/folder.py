"""Publishing to a folder: stage in a hidden folder of the same file system, rename, flip a symbolic link."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import DiskFullError, Problem, PublishError, StoreError
from elpack.publication import LINES, RECORD, Id, Line, Record, read_record
from elpack.steps.publish.place import pointed, publications, refuse_foreign
from elpack.store.lock import acquire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, or one mounted here."""

    home: Path

    def __str__(self) -> str:
        return str(self.home)

    @property
    def _own(self) -> Path:
        """What no customer needs: lock, stage, and what is being removed. Only its owner reads it."""
        return self.home / ".elpack"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the folder, which its holder's death releases, and clear away what a killed run left."""
        try:
            for folder in (path for path in (*reversed(self.home.parents), self.home) if not path.exists()):
                folder.mkdir()
                folder.chmod(0o755)
            self._refuse_foreign()
            self._own.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise PublishError(Problem("it cannot be written to", str(self), error.strerror or "")) from error
        try:
            lock = acquire(self._own / "lock")
        except StoreError as error:
            (problem,) = error.problems
            what = "somebody else publishes here just now, or the lock is not elpack's"
            raise PublishError(Problem(what, str(self), problem.what, problem.fix)) from error
        try:
            for name in ("stage", "removed", "pointer"):
                _remove(self._own / name)
            yield
        finally:
            os.close(lock)

    def records(self, line: Line) -> list[Record]:
        """Return the records of all publications, oldest first."""
        if not self.home.exists():
            return []
        self._refuse_foreign()
        folder = self.home / line.folder
        entries = list(folder.iterdir()) if folder.is_dir() else []
        return [_record(folder / name) for name in publications((path.name for path in entries), line, str(self))]

    def current(self, line: Line) -> Id | None:
        """Return what the pointer points to."""
        pointer = self.home / line.pointer
        if not pointer.is_symlink():
            return None
        found = pointed(str(pointer.readlink()), line, str(self))
        if not (self.home / line.folder / found).is_dir():
            raise PublishError(Problem(f"it points to {found}, which is not there", where=str(pointer)))
        return found

    def stage(self) -> Path:
        """Return an empty folder on the same file system."""
        self._own.mkdir(mode=0o700, exist_ok=True)
        stage = self._own / "stage"
        stage.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=stage))

    def place(self, source: Path, destination: Path) -> None:
        """Copy a file; a hard link would change with the original."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, destination)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                # the error names the source, whose disk need not be the full one
                raise DiskFullError(Problem("no space left", str(self), fix="free some, then run again")) from error
            raise
        stamp = source.stat().st_mtime_ns
        os.utime(destination, ns=(stamp, stamp))
        destination.chmod(0o644)
        _sync(destination)

    def fetch(self, line: Line, publication: Id, paths: Sequence[str], into: Path) -> None:
        """Give files of a publication a second name."""
        for path in paths:
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            source = self.home / line.folder / publication / path
            try:
                os.link(source, into / path, follow_symlinks=False)
            except FileNotFoundError as error:
                raise PublishError(Problem("its record lists it, and it is not there", where=str(source))) from error

    def add(self, line: Line, record: Record, stage: Path) -> None:
        """Give the stage its final name, after all of it has reached the disk."""
        (stage / RECORD).write_text(json.dumps(record.as_json(), indent=1) + "\n")
        (stage / RECORD).chmod(0o644)
        _sync(stage / RECORD)
        _open_to_all(stage)
        folder = self.home / line.folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        stage.rename(folder / record.id)
        _sync(folder)
        _sync(self.home)

    def complement(self, line: Line, publication: Id, stage: Path) -> None:
        """Link the stage's files into a publication; each appears whole."""
        into = self.home / line.folder / publication
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            goal = into / path.relative_to(stage)
            if not goal.exists():
                goal.parent.mkdir(parents=True, exist_ok=True)
                goal.parent.chmod(0o755)
                os.link(path, goal)

    def point(self, line: Line, publication: Id, was: Id | None) -> None:
        """Replace the pointer by rename, which is one step to whoever follows it."""
        if self.current(line) != was:
            raise PublishError(Problem("somebody else changed it meanwhile", where=str(self.home / line.pointer)))
        fresh = self._own / "pointer"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"{line.folder}/{publication}")
        fresh.replace(self.home / line.pointer)
        _sync(self.home)

    def remove(self, line: Line, publications: Iterable[Id]) -> None:
        """Remove publications; each is out of sight before its files go."""
        trash = self._own / "removed"
        trash.mkdir(exist_ok=True)
        for publication in publications:
            (self.home / line.folder / publication).rename(trash / publication)
        shutil.rmtree(trash)

    def _refuse_foreign(self) -> None:
        if not self.home.is_dir():
            raise PublishError(Problem("it is no folder", where=str(self)))
        entries = sorted(self.home.iterdir())
        refuse_foreign(((path.name, str(path.readlink()) if path.is_symlink() else "") for path in entries), str(self))
        folders = {line.folder for line in LINES}
        wrong = [path for path in entries if path.name in folders and not path.is_dir()]
        if wrong:
            raise PublishError(*(Problem("it is no folder", where=str(path)) for path in wrong))


def _record(folder: Path) -> Record:
    what, fix = "it is no publication of elpack's", "move it elsewhere"
    try:
        record = read_record((folder / RECORD).read_text())
    except (OSError, ValueError) as error:
        raise PublishError(Problem(what, str(folder), str(error), fix)) from error
    if folder.is_symlink() or record.id != folder.name:
        raise PublishError(Problem(what, str(folder), f"its record is that of {record.id}", fix))
    return record


def _open_to_all(stage: Path) -> None:
    """Let a web server read the folders whatever the umask was, and have them on the disk."""
    for folder in [*(path for path in stage.rglob("*") if path.is_dir()), stage]:
        folder.chmod(0o755)
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

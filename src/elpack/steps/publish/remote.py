"""Publishing by rsync: a folder of the new name that nothing points to, read back, its record, then the pointer.

rsync alone can neither rename nor lock at the other end. So a publication without its record does not count, the lock
is this machine's, and the pointer is looked at once more before it is replaced. rsync replaces links by rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import Problem, PublishError, StoreError
from elpack.publication import LINES, RECORD, Id, Line, Record, parse_id, read_record
from elpack.steps.exchange import link_or_copy
from elpack.steps.publish.place import pointed, publications, refuse_foreign
from elpack.store.lock import acquire
from elpack.tools.rsync import Rsync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from elpack.run import Runner


@dataclass(frozen=True, slots=True)
class Remote:
    """What rsync reaches. work: a folder of this machine for its lock, its stage, and what was begun there."""

    rsync: Rsync
    work: Path

    @classmethod
    def of(cls, to: str, work: Path, runner: Runner) -> Remote:
        """Return the place of that name."""
        to = to.rstrip("/")
        return cls(Rsync(to, runner), work / hashlib.sha256(to.encode()).hexdigest()[:16])

    def __str__(self) -> str:
        return self.rsync.to

    @property
    def _begun(self) -> Path:
        """Names of publications that this machine began to copy, each a file until its record is there."""
        return self.work / "begun"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold this machine's lock, and remove at the other end what a killed run of this machine began."""
        self._begun.mkdir(parents=True, exist_ok=True)
        try:
            lock = acquire(self.work / "lock")
        except StoreError as error:
            what = "another run of this project publishes there just now"
            raise PublishError(Problem(what, where=str(self), why=str(error.problems[0].what))) from error
        try:
            shutil.rmtree(self.work / "stage", ignore_errors=True)
            self._sweep()
            yield
        finally:
            os.close(lock)

    def records(self, line: Line) -> list[Record]:
        """Return the records of the finished publications, oldest first."""
        self._refuse_foreign()
        entries = self.rsync.entries(line.folder)
        names = publications((entry.name for entry in entries or ()), line, str(self))
        if not names:
            return []
        with tempfile.TemporaryDirectory(prefix="elpack-records-") as scratch:
            chosen = ("--include=/*/", f"--include=/*/{RECORD}", "--exclude=*")
            self.rsync.get(line.folder, Path(scratch), *chosen)
            found = []
            for name in names:
                path = Path(scratch, name, RECORD)
                if not path.exists():
                    continue  # another machine is at it, or died of it
                try:
                    found.append(read_record(path.read_text()))
                except ValueError as error:
                    what = f"it is no publication of elpack's: {error}"
                    raise PublishError(
                        Problem(what, f"{self}/{line.folder}/{name}", fix="move it elsewhere")
                    ) from error
        return found

    def current(self, line: Line) -> Id | None:
        """Return what the pointer points to."""
        found = [entry for entry in self.rsync.entries() or () if entry.name == line.pointer]
        return pointed(found[0].goal, line, str(self)) if found else None

    def stage(self) -> Path:
        """Return an empty folder of this machine."""
        stage = self.work / "stage"
        stage.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=stage))

    def place(self, source: Path, destination: Path) -> None:
        """Link a file into the stage: it is only read from there."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(source, destination)

    def fetch(self, line: Line, publication: Id, paths: Sequence[str], into: Path) -> None:
        """Copy files of a publication to this machine."""
        self.rsync.get(f"{line.folder}/{publication}", into, paths=paths)

    def add(self, line: Line, record: Record, stage: Path) -> None:
        """Copy the stage, compare both ends by content, then send the record. What others have is linked over there."""
        begun = self._begun / record.id
        begun.write_text(line.folder)
        self._make_folder(line)
        goal = f"{line.folder}/{record.id}"
        current = self.current(line)
        links = (f"--link-dest=../{current}",) if current else ()
        self.rsync.put(stage, goal, *links)
        wrong = self.rsync.differences(stage, goal)
        if wrong:
            listed = "\n".join(wrong[:20])
            raise PublishError(Problem(f"what arrived is not what was sent\n{listed}", where=f"{self}/{goal}"))
        with tempfile.TemporaryDirectory(prefix="elpack-record-") as scratch:
            Path(scratch, RECORD).write_text(json.dumps(record.as_json(), indent=1) + "\n")
            self.rsync.put(Path(scratch), goal)
        begun.unlink()

    def complement(self, line: Line, publication: Id, stage: Path) -> None:
        """Copy the stage's files into a publication; what is there stays."""
        if any(stage.iterdir()):
            self.rsync.put(stage, f"{line.folder}/{publication}", "--ignore-existing")

    def point(self, line: Line, publication: Id, was: Id | None) -> None:
        """Send the pointer, and see that it arrived."""
        if self.current(line) != was:
            raise PublishError(Problem("somebody else changed it meanwhile", where=f"{self}/{line.pointer}"))
        with tempfile.TemporaryDirectory(prefix="elpack-pointer-") as scratch:
            Path(scratch, line.pointer).symlink_to(f"{line.folder}/{publication}")
            self.rsync.put(Path(scratch), "")
        if self.current(line) != publication:
            why = "the other end does not keep symbolic links, or another machine publishes there as well"
            raise PublishError(Problem(f"it does not point to {publication}", f"{self}/{line.pointer}", why))

    def remove(self, line: Line, publications: Iterable[Id]) -> None:
        """Remove publications, records first: what is half removed does not count."""
        names = list(publications)
        if not names:
            return
        with tempfile.TemporaryDirectory(prefix="elpack-empty-") as empty:
            for name in names:
                (self._begun / name).write_text(line.folder)
                self.rsync.remove(f"{line.folder}/{name}", [RECORD], Path(empty))
            self.rsync.remove(line.folder, names, Path(empty))
        for name in names:
            (self._begun / name).unlink()

    def _sweep(self) -> None:
        """Remove what this machine began and did not finish. What has a record was finished after all."""
        for marker in sorted(self._begun.iterdir()):
            line = next((line for line in LINES if line.folder == marker.read_text()), None)
            if line is not None:
                name = parse_id(marker.name)
                names = {entry.name for entry in self.rsync.entries(f"{line.folder}/{name}") or ()}
                if names and RECORD not in names:
                    with tempfile.TemporaryDirectory(prefix="elpack-empty-") as empty:
                        self.rsync.remove(line.folder, [name], Path(empty))
            marker.unlink()

    def _make_folder(self, line: Line) -> None:
        with tempfile.TemporaryDirectory(prefix="elpack-folder-") as scratch:
            Path(scratch, line.folder).mkdir()
            self.rsync.put(Path(scratch), "")

    def _refuse_foreign(self) -> None:
        entries = self.rsync.entries() or []
        refuse_foreign(((entry.name, entry.goal) for entry in entries), str(self))

"""Puts publications together and looks at them, before anything points to them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import Problem, PublishError
from elpack.manifest import digest_of
from elpack.publication import reachable_files, still_asked_for
from elpack.steps.consumer import verify_as_consumer
from elpack.steps.publish.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from elpack.openpgp import Fingerprint
    from elpack.publication import File, Id, Line, Record
    from elpack.run import Runner
    from elpack.steps.publish.place import Place
    from elpack.steps.publish.results import Result


@dataclass(frozen=True, slots=True)
class Shelf:
    """One line of publications at a place, as it was when the work on it began."""

    place: Place
    line: Line
    records: tuple[Record, ...]
    current: Id | None

    def record(self, publication: Id | None) -> Record | None:
        """Return the record of a publication, None if there is none."""
        return next((record for record in self.records if record.id == publication), None)


def fill(shelf: Shelf, stage: Path, results: Sequence[Result], files: Mapping[str, File]) -> None:
    """Put the files of the results into the stage; a folder gives those that its current publication has as well."""
    current = shelf.record(shelf.current)
    same = {path for path, file in files.items() if current and current.files.get(path) == file}
    have = {path for path in same if isinstance(shelf.place, Folder) and not (stage / path).exists()}
    if current and have:
        have -= lost(shelf, current, have)  # what was damaged there comes from the results again
        shelf.place.fetch(shelf.line, current.id, sorted(have), stage)
    for result in results:
        for path in result.paths():
            goal = f"{result.place}/{path}"
            if goal not in have:
                shelf.place.place(result.folder / path, stage / goal)


def lost(shelf: Shelf, record: Record, paths: Collection[str]) -> set[str]:
    """Return which of the paths are not what the record of a publication in a folder says any more."""
    if not isinstance(shelf.place, Folder):
        return set()
    folder = shelf.place.home / shelf.line.folder / record.id
    return {path for path in paths if not _is(folder / path, record.files[path])}


def check_stage(stage: Path, files: Mapping[str, File]) -> None:
    """Compare all files of a stage with what they should be. Raises `PublishError`."""
    wrong = [path for path, file in files.items() if not _is(stage / path, file)]
    if wrong:
        raise PublishError(*(Problem("it is not what it was when it was looked at", path) for path in sorted(wrong)))


def _is(path: Path, file: File) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_size == file.size and digest_of(path) == file.sha256


def carry(shelf: Shelf, stage: Path, own: Collection[str]) -> None:
    """Keep reachable what customers with metadata of an earlier publication in their caches still ask for."""
    taken = set(own)
    now = dt.datetime.now(dt.UTC)
    for publication in still_asked_for([record.id for record in shelf.records], shelf.current, now):
        record = shelf.record(publication)
        wanted = [path for path in reachable_files(record) if path not in taken] if record else []
        if record and (damaged := lost(shelf, record, wanted)):
            wanted = [path for path in wanted if path not in damaged]
        if wanted:
            shelf.place.fetch(shelf.line, publication, wanted, stage)
            taken |= set(wanted)


def verify_all(stage: Path, places: Mapping[str, str], trusted: Collection[Fingerprint] | None, runner: Runner) -> int:
    """Verify what is in a stage as a customer does, and return how many RPMs it holds.

    places: with their EL version. trusted: the only keys that customers may be given, None for any.
    Raises `PublishError`.
    """
    packages = 0
    for place, releasever in places.items():
        key_file, *others = sorted((stage / place).glob("RPM-GPG-KEY-*")) or (None,)
        if key_file is None or others:
            what = "there are several files of public keys" if others else "there is no RPM-GPG-KEY-<release>"
            raise PublishError(Problem(what, where=place, fix="elpack sign writes it anew"))
        arch = place.split("/")[1]
        packages += verify_as_consumer(
            stage / place, key_file, arch=arch, releasever=releasever, trusted=trusted, runner=runner
        ).packages
    return packages

"""The order of a publication: collect, stage, verify as a customer, give it its name, flip the pointer, tidy up."""

from __future__ import annotations

import datetime as dt
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import Problem, PublishError
from elpack.manifest import digest_of
from elpack.publication import (
    RELEASES,
    SNAPSHOTS,
    File,
    Id,
    Line,
    Record,
    changed_packages,
    content_digest,
    new_id,
    outlived,
    parse_id,
    same_content,
    served_at,
)
from elpack.run import run
from elpack.steps.publish.folder import Folder
from elpack.steps.publish.place import is_remote
from elpack.steps.publish.remote import Remote
from elpack.steps.publish.results import read_results
from elpack.steps.publish.staging import Shelf, carry, check_stage, fill, lost, verify_all
from elpack.steps.repository import About, repo_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from elpack.config import Release
    from elpack.openpgp import Fingerprint
    from elpack.run import Runner
    from elpack.steps.publish.place import Place
    from elpack.steps.publish.results import Result
    from elpack.workspace import Workspace

_EL = "9"
"""What dnf takes for the release of an earlier publication's place; nothing of elpack's hangs on it."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is current now. new: it was not before. size: bytes of its own files. removed: what went for it."""

    id: Id
    new: bool
    packages: int = 0
    size: int = 0
    removed: tuple[Id, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants, and where: a folder or what rsync reaches. keep: how many publications stay, 0 for all."""

    to: str
    target: str = ""
    snapshot: bool = False
    keep: int = 0

    @property
    def line(self) -> Line:
        """Return the row that is published to."""
        return SNAPSHOTS if self.snapshot else RELEASES


def publish(
    release: Release,
    workspace: Workspace,
    wish: Wish,
    runner: Runner = run,
    say: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish what lies in dist/, all of it or nothing. Raises `PublishError`; then all is served as it was."""
    results = read_results(workspace.dist, release, wish.target, snapshot=wish.snapshot)
    place = place_of(wish.to, workspace, runner)
    url = _address(release, place)
    with _shelf(release, place, wish.line) as shelf, _staged(place) as stage:
        say("look at the results")
        files = _repo_files(results, release, url, wish.line, stage)
        files |= {path: file for result in results for path, file in result.files().items()}
        digest = content_digest(files)
        for record in reversed(shelf.records):
            # what was damaged there is published anew
            if same_content(record.id, digest) and not lost(shelf, record, record.files):
                return _tidied(shelf, _point_again(shelf, record, release, runner), wish)
        if not wish.snapshot:
            _refuse_changed(files, shelf.records)
        say("copy")
        fill(shelf, stage, results, files)
        say("verify as a customer")
        check_stage(stage, files)
        places = {result.place: str(result.target.el) for result in results}
        packages = verify_all(stage, places, _trusted(release, wish.line), runner)
        carry(shelf, stage, files)
        say("publish")
        record = _new_record(release, results, files, shelf.records)
        place.add(shelf.line, record, stage)
        place.point(shelf.line, record.id, shelf.current)
        return _tidied(shelf, Published(record.id, True, packages, record.size), wish)


def _tidied(shelf: Shelf, done: Published, wish: Wish) -> Published:
    """Remove what outlived its time, if that was asked for, and return the same with what went."""
    ids = {*(one.id for one in shelf.records), done.id}
    gone = tuple(outlived(sorted(ids), done.id, wish.keep)) if wish.keep else ()
    shelf.place.remove(shelf.line, gone)
    return replace(done, removed=gone)


def roll_back(
    release: Release, workspace: Workspace, wish: Wish, publication: str = "", runner: Runner = run
) -> Published:
    """Let the pointer point to an earlier publication, the one before the current one unless another is named.

    Raises `PublishError` when there is none, or when a customer would refuse it, such as for an expired signature.
    """
    place = place_of(wish.to, workspace, runner)
    with _shelf(release, place, wish.line) as shelf:
        return _point_again(shelf, _goal(shelf, publication), release, runner)


def listing(workspace: Workspace, to: str, runner: Runner = run) -> list[tuple[Line, Record, bool]]:
    """Return every publication, oldest first, and whether it is the current one of its line."""
    place = place_of(to, workspace, runner)
    found = []
    for line in (RELEASES, SNAPSHOTS):
        if records := place.records(line):
            current = place.current(line)
            found += [(line, record, record.id == current) for record in records]
    return found


def place_of(to: str, workspace: Workspace, runner: Runner = run) -> Place:
    """Return the place that the user named: what rsync reaches, or a folder of this machine. Raises `PublishError`."""
    if not to.isprintable() or not to:
        raise PublishError(Problem(f"{to!r} names no place", fix="a folder, host:path or rsync://host/module"))
    if is_remote(to):
        return Remote.of(to, workspace.work / "publish", runner)
    home = Path(to).absolute()
    for own in (workspace.dist, workspace.work):
        if home.resolve().is_relative_to(own.resolve()):
            why, fix = "what is there goes when it is made anew, or is cleaned", "publish to a folder elsewhere"
            raise PublishError(Problem("it lies within elpack's own folders", str(home), why, fix))
    return Folder(home)


@contextmanager
def _shelf(release: Release, place: Place, line: Line) -> Iterator[Shelf]:
    with place.alone():
        records = tuple(place.records(line))
        other = next((record.release for record in records if record.release != release.name), "")
        if other:
            what, fix = f"publications of {other} lie there", f"publish {release.name} to a folder of its own"
            raise PublishError(Problem(what, where=str(place), fix=fix))
        yield Shelf(place, line, records, place.current(line))


@contextmanager
def _staged(place: Place) -> Iterator[Path]:
    stage = place.stage()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _address(release: Release, place: Place) -> str:
    if release.publish.url:
        return release.publish.url
    if isinstance(place, Folder):
        return place.home.as_uri()
    what = "where customers find it is not known, and the .repo file must say it"
    raise PublishError(Problem(what, where="elpack.toml: publish.url", fix='[publish] url = "https://…"'))


def _repo_files(results: Sequence[Result], release: Release, url: str, line: Line, stage: Path) -> dict[str, File]:
    """Write the .repo files into the stage, with the final URLs, and return them."""
    files = {}
    for result in results:
        title = f"{result.id} for {result.target.title}"
        about = About(result.id, release.name, title, served_at(url, line, result.place), served=True)
        debug = (result.folder / "debug").is_dir()
        path = stage / result.place / f"{result.id}.repo"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(repo_file(about, signed=True, throwaway=result.manifest.throwaway, debug=debug))
        path.chmod(0o644)
        files[f"{result.place}/{path.name}"] = File(path.stat().st_size, digest_of(path))
    return files


def _refuse_changed(files: Mapping[str, File], records: Sequence[Record]) -> None:
    """Raise `PublishError` for RPMs that hosts have by this name with another content: they would never be updated."""
    changed = changed_packages(files, records)
    if changed:
        why = "a host that has it installed would never see the new one, and caches would refuse it"
        fix = "raise [release] revision, and build again"
        raise PublishError(
            *(Problem(f"{id_} has another content of this name", path, why, fix) for path, id_ in changed.items())
        )


def _trusted(release: Release, line: Line) -> set[Fingerprint] | None:
    """Return the keys that customers of a release may be given; a snapshot has whichever key it has."""
    signing = release.signing
    return {*((signing.key,) if signing.key else ()), *signing.also_trusted} if line is RELEASES else None


def _new_record(
    release: Release, results: Sequence[Result], files: Mapping[str, File], others: Sequence[Record]
) -> Record:
    now = dt.datetime.now(dt.UTC)
    version = results[0].manifest.version
    ids = [record.id for record in others]
    return Record(
        id=new_id(now, ids, f"{release.name}-{version}-{release.revision}", content_digest(files)),
        release=release.name,
        version=version,
        revision=release.revision,
        published=now.isoformat(timespec="seconds"),
        fingerprint=results[0].manifest.fingerprint,
        files=files,
    )


def _point_again(shelf: Shelf, record: Record, release: Release, runner: Runner) -> Published:
    """Let the pointer point to a publication that is there, after another look at it."""
    if record.id == shelf.current:
        return Published(record.id, False, size=record.size)
    with _staged(shelf.place) as stage:
        own, more = stage / "own", stage / "more"
        more.mkdir()
        shelf.place.fetch(shelf.line, record.id, sorted(record.files), own)
        check_stage(own, record.files)
        places = {str(path.parent.relative_to(own)): _EL for path in sorted(own.rglob("RPM-GPG-KEY-*"))}
        packages = verify_all(own, places, _trusted(release, shelf.line), runner)
        # customers with the metadata of what is current now will ask for its files
        carry(shelf, more, record.files)
        shelf.place.complement(shelf.line, record.id, more)
    shelf.place.point(shelf.line, record.id, shelf.current)
    return Published(record.id, True, packages, record.size)


def _goal(shelf: Shelf, publication: str) -> Record:
    if publication:
        try:
            found = shelf.record(parse_id(publication))
        except ValueError as error:
            raise PublishError(Problem(str(error), where="--id", fix="--list shows what is there")) from error
        if found is None:
            what = f"there is no {publication}"
            raise PublishError(Problem(what, where=str(shelf.place), fix="--list shows what is there"))
        return found
    before = [record for record in shelf.records if shelf.current is not None and record.id < shelf.current]
    if not before:
        raise PublishError(Problem("there is no publication before the current one", where=str(shelf.place)))
    return before[-1]

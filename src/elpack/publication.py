"""What is decided about publications: their names, their order, what stays reachable, and what goes. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType

from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


FORMAT = 1
RECORD = "published.json"
GRACE = dt.timedelta(days=7)
"""How long customers' caches may go on asking for files of a publication that is not the current one any more.
dnf asks for new metadata after two days unless it is told otherwise."""

Id = NewType("Id", str)
"""<time>-<release>-<version>-<revision>-<digest>: sorts by time of publication, and tells what is in it."""

_STAMP = "%Y%m%dT%H%M%SZ"
_ID = re.compile(r"(\d{8}T\d{6}Z)-([A-Za-z0-9._+-]+)-([0-9a-f]{12})\Z")
_ODD = re.compile(r"[^A-Za-z0-9._+-]")
_OF_REPOSITORIES = re.compile(r"(?:^|/)(?:repo|debug)/")
_NEVER_OLD = ("repomd.xml", "repomd.xml.asc")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of publications, each in a folder of its own, and the name of the pointer to the current one."""

    folder: str
    pointer: str


RELEASES = Line("releases", "current")
SNAPSHOTS = Line("snapshots", "current-snapshot")
LINES = (RELEASES, SNAPSHOTS)


@dataclass(frozen=True, slots=True)
class File:
    """A published file. unsigned: the digest of an RPM before it was signed, else empty."""

    size: int
    sha256: str
    unsigned: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What one publication is. files: its own by path, without what stays of others for the sake of caches."""

    id: Id
    release: str
    version: str
    revision: int
    published: str
    fingerprint: str
    files: Mapping[str, File]

    @property
    def size(self) -> int:
        """Return the bytes of all its own files."""
        return sum(file.size for file in self.files.values())

    def as_json(self) -> dict[str, Any]:
        """Return the record as it is written beside the files."""
        files = {
            path: {"size": file.size, "sha256": file.sha256, **({"unsigned": file.unsigned} if file.unsigned else {})}
            for path, file in sorted(self.files.items())
        }
        plain = ("id", "release", "version", "revision", "published", "fingerprint")
        return {"format": FORMAT, **{name: getattr(self, name) for name in plain}, "files": files}


def read_record(text: str) -> Record:
    """Return a record from its JSON. Raises ValueError for anything that elpack did not write."""
    value = json_value(text)
    try:
        if not isinstance(value, dict) or value["format"] != FORMAT:
            raise ValueError("not of a format that this elpack knows")
        files = {
            _inside(path): File(int(file["size"]), _digest(file["sha256"]), str(file.get("unsigned", "")))
            for path, file in value["files"].items()
        }
        strings = {name: str(value[name]) for name in ("release", "version", "published", "fingerprint")}
        return Record(id=parse_id(str(value["id"])), revision=int(value["revision"]), files=files, **strings)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a record of a publication: {error!r}") from error


def served_at(url: str, line: Line, place: str) -> str:
    """Return where customers find what lies in a place such as el9/x86_64; one address serves all architectures."""
    target, _, *rest = place.split("/")
    return "/".join([url, line.pointer, target, "$basearch", *rest])


def content_digest(files: Mapping[str, File]) -> str:
    """Return the digest of the files: their paths and contents, signatures included."""
    whole = "".join(f"{file.sha256} {file.size} {path}\n" for path, file in sorted(files.items()))
    return hashlib.sha256(whole.encode()).hexdigest()


def new_id(now: dt.datetime, others: Iterable[Id], name: str, digest: str) -> Id:
    """Return the id of a new publication, which sorts after all others even if the clock went back.

    name: release, version and revision.
    """
    latest = max((moment(other) for other in others), default=None)
    now = now.astimezone(dt.UTC).replace(microsecond=0)
    if latest is not None and now <= latest:
        now = latest + dt.timedelta(seconds=1)
    return Id(f"{now.strftime(_STAMP)}-{_ODD.sub('_', name)}-{digest[:12]}")


def parse_id(text: str) -> Id:
    """Return the text as an id. Raises ValueError when it is none."""
    if not _ID.match(text):
        raise ValueError(f"{text!r} is no name of a publication")
    moment(Id(text))
    return Id(text)


def moment(publication: Id) -> dt.datetime:
    """Return when it was published, to the second. Raises ValueError for a time that never was."""
    return dt.datetime.strptime(publication.partition("-")[0], _STAMP).replace(tzinfo=dt.UTC)


def same_content(publication: Id, digest: str) -> bool:
    """Tell whether a publication is of this content."""
    return publication.rpartition("-")[2] == digest[:12]


def still_asked_for(ids: Sequence[Id], current: Id | None, now: dt.datetime) -> list[Id]:
    """Return the publications whose metadata customers may still have in their caches, newest first.

    That is the current one, and each that another one followed no longer than `GRACE` ago.
    """
    ordered = sorted(ids)
    followed = {one: moment(after) for one, after in itertools.pairwise(ordered)}
    recent = {one for one, at in followed.items() if now - at < GRACE}
    return sorted(recent | ({current} if current else set()), reverse=True)


def reachable_files(record: Record) -> list[str]:
    """Return the files that a customer asks for by metadata that were read before, not by their names alone."""
    return [
        path for path in record.files if _OF_REPOSITORIES.search(path) and path.rpartition("/")[2] not in _NEVER_OLD
    ]


def outlived(ids: Sequence[Id], current: Id | None, keep: int) -> list[Id]:
    """Return which publications go when `keep` of them stay: never the current one, nor the one before it."""
    ordered = sorted(ids)
    before = [one for one in ordered if current is not None and one < current][-1:]
    kept = {*ordered[max(0, len(ordered) - keep) :], *before, *((current,) if current else ())}
    return [one for one in ordered if one not in kept]


def changed_packages(new: Mapping[str, File], records: Iterable[Record]) -> dict[str, Id]:
    """Return which RPMs for customers were published under the same name with another content, and in what."""
    found: dict[str, Id] = {}
    for record in records:
        for path, old in record.files.items():
            file = new.get(path)
            if file is None or not path.endswith(".rpm") or not _OF_REPOSITORIES.search(path):
                continue
            if file.sha256 != old.sha256 and (not file.unsigned or file.unsigned != old.unsigned):
                found[path] = record.id
    return found


def _inside(path: object) -> str:
    parts = str(path).split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in str(path):
        raise ValueError(f"{path!r} is no path inside of a publication")
    return str(path)


def _digest(text: object) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", str(text)):
        raise ValueError(f"{text!r} is no sha256")
    return str(text)

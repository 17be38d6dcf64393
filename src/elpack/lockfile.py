"""uv.lock, read once into typed values. Nothing is selected here; `selection` does that."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from elpack import strict
from elpack.config.values import each
from elpack.errors import LockError, Problem
from elpack.model import ConflictItem, LockedDist, LockEdge, RemoteFile, Sha256, SourceKind, UvLock
from elpack.naming import dist_name, parse_version
from elpack.tables import Table, parse_toml

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from packaging.markers import Marker
    from packaging.utils import NormalizedName

KNOWN_VERSION = 1
KNOWN_REVISION = 5
"""The newest revision that this reader was tested with; uv 0.13 writes it.

uv itself reads locks of a later revision and ignores what it does not understand. A package built from a
half-understood lock would not be what the lock froze, so a later revision is refused here until it was looked at.
"""

_SOURCES = {
    "registry": SourceKind.REGISTRY,
    "editable": SourceKind.EDITABLE,
    "path": SourceKind.PATH,
    "directory": SourceKind.PATH,
    "git": SourceKind.GIT,
    "url": SourceKind.URL,
    "virtual": SourceKind.VIRTUAL,
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})\Z")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]{0,200}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 1 << 32
"""Epoch seconds; files are dated by it, and what is dated later than 2106 was not uploaded yet."""
_ENTRY = re.compile(r"\s*\[\[\s*package\s*\]\]")
_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URL = re.compile(r"[!-~]+\Z")


def parse_uv_lock(text: str, path: str, *, loopback: bool = False) -> UvLock:
    """Return the lock. `path` is only for messages; `loopback` lets http URLs of this very host pass, for tests.

    Raises `LockError` with every problem, each with file and line of its entry.
    """
    try:
        root = parse_toml(path, text)
    except ValueError as error:
        raise LockError(Problem(str(error), where=path, fix="uv lock")) from error
    version, revision = _guard(root)
    requires_python, supported = root.parsed("requires-python", _specifiers), _markers(root, "supported-markers")
    conflicts = tuple(_conflicts(root))
    lines = [number for number, line in enumerate(text.split("\n"), 1) if _ENTRY.match(line)]
    entries = [entry for entry in root.get("package", list, []) if isinstance(entry, dict)]
    dists = []
    for index, values in enumerate(entries):
        line = lines[index] if len(lines) == len(entries) else 1
        table = Table(f"{path}:{line}", values, f"package {values.get('name', '?')}", root.problems)
        if (dist := _dist(table, line, loopback=loopback)) is not None:
            dists.append(dist)
    _no_twins(root, dists)
    if root.problems:
        raise LockError(*root.problems)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return UvLock(
        path, version, revision, requires_python or SpecifierSet(), tuple(dists), supported, conflicts, sha256
    )


def _guard(root: Table) -> tuple[int, int]:
    version, revision = root.get("version", int), root.get("revision", int, 0)
    if root.problems:
        raise LockError(*root.problems)
    if version != KNOWN_VERSION:
        problem = Problem(
            f"unknown lock version {version}; elpack reads version {KNOWN_VERSION}",
            where=root.where("version"),
            fix="update elpack, or lock with a uv that writes version 1",
        )
        raise LockError(problem)
    if not 0 <= revision <= KNOWN_REVISION:
        problem = Problem(
            f"unknown lock revision {revision}; elpack knows revisions 0 to {KNOWN_REVISION}",
            where=root.where("revision"),
            why="a newer uv wrote this lock, and may have put something into it that must not be overlooked",
            fix="update elpack, or lock with an older uv",
        )
        raise LockError(problem)
    return version, revision


def _no_twins(root: Table, dists: list[LockedDist]) -> None:
    seen: dict[tuple[object, ...], LockedDist] = {}
    for dist in dists:
        first = seen.setdefault((dist.name, dist.version, dist.source_value), dist)
        if first is not dist:
            what = f"{dist.name} {dist.version} is there twice, first at line {first.line}"
            root.problems.append(Problem(what, where=f"{root.file}:{dist.line}", fix="uv lock"))


def _dist(table: Table, line: int, *, loopback: bool) -> LockedDist | None:
    name = table.parsed("name", dist_name)
    version = table.parsed("version", parse_version) if table.has("version") else None
    source = _source(table)
    if name is None or source is None:
        return None
    kind, value = source
    registry = kind is SourceKind.REGISTRY
    if registry and not table.has("version"):
        table.problem("version", "this key is required", fix="uv lock")
    optional = table.table("optional-dependencies")
    metadata = table.table("metadata")
    declared = tuple(_declared(entry) for entry in metadata.tables("requires-dist"))
    files = [_file(wheel, loopback=loopback) for wheel in table.tables("wheels")] if registry else []
    return LockedDist(
        name=name,
        version=version,
        source=kind,
        source_value=value,
        line=line,
        sdist=_file(table.table("sdist"), loopback=loopback) if registry and table.has("sdist") else None,
        wheels=tuple(file for file in files if file is not None),
        requires=_edges(table, "dependencies"),
        optional={extra: _edges(optional, extra) for extra in map(_as_name, optional.values)},
        resolution_markers=_markers(table, "resolution-markers"),
        declared=declared if table.has("metadata") else None,
        extras=frozenset(map(_as_name, (*metadata.strings("provides-extras"), *optional.values))),
    )


def _as_name(text: str) -> NormalizedName:
    # uv writes normalised names; anything else cannot be met by an edge and stays unused.
    return text  # type: ignore[return-value]


def _source(table: Table) -> tuple[SourceKind, str] | None:
    values = table.table("source").values
    known = [key for key in _SOURCES if isinstance(values.get(key), str)]
    if len(known) != 1:
        table.problem("source", f"unknown kind of source: {', '.join(values) or 'none'}", fix="uv lock")
        return None
    kind, value = _SOURCES[known[0]], values[known[0]]
    if kind is SourceKind.REGISTRY and "://" not in value:
        kind = SourceKind.PATH  # a flat index in a folder of the machine that locked
    return kind, value


def _edges(table: Table, key: str) -> tuple[LockEdge, ...]:
    edges = []
    for entry in table.tables(key):
        name = entry.parsed("name", dist_name)
        source = _source(entry) if entry.has("source") else None
        edge = LockEdge(
            name=name or _as_name(""),
            version=entry.parsed("version", parse_version) if entry.has("version") else None,
            extras=frozenset(each(entry, "extra", dist_name)),
            marker=entry.parsed("marker", parse_marker) if entry.has("marker") else None,
            source_value=source[1] if source else None,
        )
        edges.append(edge)
    return tuple(edges)


def filename_refused(filename: str) -> str | None:
    """Return why a distribution's file may not be called so, None if it may."""
    return None if _FILENAME.match(filename) else f"{filename[:100]!r} is not a file name of a distribution"


def _file(table: Table, *, loopback: bool) -> RemoteFile | None:
    before = len(table.problems)
    url, digest = table.get("url", str, ""), table.get("hash", str, "")
    match = _SHA256.match(digest)
    if match is None:
        found = f"found {digest.partition(':')[0]}" if digest else "found none"
        table.problem(
            "hash", f"a sha256 is needed to trust this file, {found}", fix="lock from an index that gives sha256"
        )
    if (reason := url_refused(url, loopback=loopback)) is not None:
        table.problem("url", reason, fix="lock from an index that serves https")
    filename = unquote(url.partition("#")[0].partition("?")[0].rpartition("/")[2])
    if url and (reason := filename_refused(filename)) is not None:
        table.problem("url", reason)
    size = table.get("size", int) if table.has("size") else None
    if size is not None and size < 0:
        table.problem("size", f"expected 0 or more, found {size}")
    uploaded = next((table.parsed(key, _epoch) for key in ("upload-time", "upload_time") if table.has(key)), None)
    if match is None or len(table.problems) > before:
        return None
    return RemoteFile(filename, url.partition("#")[0], Sha256(match[1]), size, uploaded)


def url_refused(url: str, *, loopback: bool) -> str | None:
    """Return why a lock may not name a file by this URL, None if it may."""
    if not url:
        return "the file has no URL, it lies on the machine that locked"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"{url!r} is not a URL: {error}"
    if not (loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK) and (
        parts.scheme != "https" or not parts.hostname or not _URL.match(url)
    ):
        return f"only https URLs are fetched, found {url!r}"
    return _told_by(parts)


def _told_by(parts: SplitResult) -> str | None:
    """Return what in a URL must not get into specs and manifests, which name it; None where it may."""
    if "@" in parts.netloc:
        return "the URL holds a user or a password, which would get into specs and manifests"
    if parts.query:
        return "the URL holds a query, which may be a secret and would get into specs and manifests"
    if _NOT_ENCODED.search(parts.path):
        return "the URL's path holds a percent sign without two digits"
    return None


def _declared(entry: Table) -> str:
    """Return one line of requires-dist as PEP 508; a source of uv's own becomes a direct reference."""
    name, specifier = entry.get("name", str), entry.get("specifier", str, "")
    extras = ",".join(entry.strings("extras"))
    marker = entry.get("marker", str, "")
    direct = next((f" @ {entry.values[key]}" for key in _SOURCES if key != "registry" and key in entry.values), "")
    return f"{name}[{extras}]{direct or specifier}" + (f" ; {marker}" if marker else "")


def _conflicts(root: Table) -> list[frozenset[ConflictItem]]:
    sets = []
    for index, items in enumerate(root.get("conflicts", list, [])):
        holder = Table(root.file, {"set": items}, f"conflicts[{index}]", root.problems)
        found = []
        for item in holder.tables("set"):
            package = item.parsed("package", dist_name) or _as_name("")
            found.append(ConflictItem(package, item.get("extra", str, ""), item.get("group", str, "")))
        sets.append(frozenset(found))
    return sets


def _markers(table: Table, key: str) -> tuple[Marker, ...]:
    markers = []
    for index, text in enumerate(table.strings(key)):
        try:
            markers.append(parse_marker(text))
        except ValueError as error:
            table.problem(f"{key}[{index}]", str(error))
    return tuple(markers)


@lru_cache(maxsize=4096)
def parse_marker(text: str) -> Marker:
    """Return the PEP 508 marker. Raises ValueError with the text when it is none."""
    try:
        return strict.marker(text)
    except InvalidMarker as error:
        raise ValueError(f"{text!r} is not an environment marker") from error


def _specifiers(text: str) -> SpecifierSet:
    try:
        return strict.specifiers(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is not a version specifier") from error


def _epoch(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return uploaded_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def uploaded_at(moment: datetime) -> int:
    """Return the epoch seconds. Raises ValueError for a time at which nothing was uploaded."""
    seconds = int((moment - _EPOCH).total_seconds())
    if not 0 <= seconds < _LATEST:
        raise ValueError(f"{moment} is no time at which anything was uploaded")
    return seconds

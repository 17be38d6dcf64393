"""Finds in a wheel what others made: its own SBOMs, libraries and dists put inside, traces in machine code."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.archives.members import Kind
from elpack.archives.sboms import read_sbom
from elpack.model import Carried, Sha256, Trace
from elpack.tables import Table, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from elpack.archives.members import Limits, Member
    from elpack.archives.streams import Opener

_ELF = b"\x7fELF"
_LONGEST = 128 << 20
"""Bytes of one file that are looked through; what lies behind them is not seen."""
_LIBRARY = re.compile(r"[^/]+\.libs/(?P<name>lib[^/]*?)(?:-[0-9a-f]{6,40})*\.so[^/]*\Z")
_DIST_INFO = re.compile(r".+/(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9.!+_]+)\.dist-info/METADATA\Z")
_MACHINE_CODE = re.compile(r"\.so(?:\.[0-9.]+)?\Z|/scripts/[^/]+\Z|/bin/[^/]+\Z")
_MOST = 40
"""Different names and versions that one pattern may find in one file."""


@dataclass(frozen=True, slots=True)
class Known:
    """One entry of carried.toml, which says what its fields mean."""

    name: str
    purl: str
    licence: str
    pattern: re.Pattern[bytes]
    dist: str
    file: str
    versions: Mapping[str, str]
    source: str

    def found(self, file: str, data: bytes, digest: Sha256, dist_version: str) -> Iterator[Carried]:
        """Yield what the pattern finds in a file. `dist_version` is that of the dist which holds it."""
        for match in _different(self.pattern.finditer(data)):
            named = match.groupdict()
            part = named["name"].decode() if named else self.name
            # a path tells of the machine that it was made on; its last part is enough
            text = match.group().strip(b"\x00/").rpartition(b"/")[2].decode("ascii", "replace")
            if match.groups():
                version = (named["version"] if named else match.group(1)).decode("ascii", "replace")
                how = Trace.CODE
            else:
                version, how = self.versions.get(dist_version, ""), Trace.REVIEWED
            source = self.source if version and how is Trace.REVIEWED else ""
            purl = f"{self.purl}/{part}" if named else self.purl
            yield Carried(part, version, purl, self.licence, how, file, text, digest, source)


def _different(matches: Iterable[re.Match[bytes]]) -> Iterator[re.Match[bytes]]:
    seen: set[object] = set()
    for match in matches:
        key = match.groups() or None
        if key not in seen:
            seen.add(key)
            yield match
        if len(seen) == _MOST or key is None:
            return


@cache
def _data() -> bytes:
    return resources.files("elpack.archives").joinpath("carried.toml").read_bytes()


@cache
def known_parts() -> tuple[Known, ...]:
    """Return the entries of carried.toml."""
    root = parse_toml("carried.toml", _data().decode())
    found = tuple(_known(table) for table in root.tables("part"))
    if root.problems:
        raise ValueError("\n".join(map(str, root.problems)))
    return found


def _known(table: Table) -> Known:
    known = Known(
        name=table.get("name", str),
        purl=table.get("purl", str),
        licence=table.get("licence", str, ""),
        pattern=re.compile(table.get("pattern", str).encode()),
        dist=table.get("dist", str, ""),
        file=table.get("file", str, ""),
        versions={key: str(value) for key, value in table.get("versions", dict, {}).items()},
        source=table.get("source", str, ""),
    )
    table.done()
    return known


def known_digest() -> str:
    """Return what changes when carried.toml does, so that facts read with another one are not taken for these."""
    return hashlib.sha256(_data()).hexdigest()[:8]


def carried_inside(
    dist: str, version: str, members: Iterable[Member], openers: Mapping[str, Opener], limits: Limits
) -> tuple[Carried, ...]:
    """Return what a wheel carries of others, sorted. `dist` is its normalised name.

    Nothing in it makes this fail: what cannot be read as an SBOM is returned as one that was not read.
    """
    found: list[Carried] = []
    known = [one for one in known_parts() if one.dist in {"", dist}]
    for member in members:
        if member.kind is Kind.FILE:
            found += _in_member((dist, version), member, openers[member.name], known, limits)
    return tuple(sorted(set(found)))


def _in_member(
    holder: tuple[str, str], member: Member, opener: Opener, known: Iterable[Known], limits: Limits
) -> Iterator[Carried]:
    dist, version = holder
    path = member.name
    if ".dist-info/sboms/" in path:
        data = _read(opener, limits.text) if member.size <= limits.text else b""
        yield from read_sbom(path, data, Sha256(hashlib.sha256(data).hexdigest()), dist)
    elif match := _DIST_INFO.match(path):
        name = canonicalize_name(match["name"])
        yield Carried(name, match["version"], f"pkg:pypi/{name}", "", Trace.METADATA, path)
    else:
        yield from _in_code(version, member, opener, known)


def _in_code(version: str, member: Member, opener: Opener, known: Iterable[Known]) -> Iterator[Carried]:
    path = member.name
    wanted = [one for one in known if not one.file or fnmatchcase(path, one.file)]
    if not any(one.file for one in wanted) and not _MACHINE_CODE.search(path):
        return
    data = _read(opener, _LONGEST)
    if not data.startswith(_ELF):
        wanted = [one for one in wanted if one.file]
    digest = Sha256(hashlib.sha256(data).hexdigest()) if len(data) == member.size else Sha256("")
    traces = [trace for one in wanted for trace in one.found(path, data, digest, version)]
    yield from traces
    if not traces and (match := _LIBRARY.match(path)):
        yield Carried(match["name"], "", f"pkg:generic/{match['name']}", "", Trace.LIBRARY, path, "", digest)


def _read(opener: Opener, most: int) -> bytes:
    with opener() as file:
        return file.read(most)

"""Says whether a dnf repository's metadata is that of the RPMs beside it."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from elpack.errors import CommandError, Problem
from elpack.manifest import digest_of
from elpack.run import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from elpack.run import Runner

_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"
_LARGEST = 256 << 20
"""Bytes of unpacked metadata; a repository of elpack's has about one megabyte."""
_FORM = "%{NAME} %|EPOCH?{%{EPOCH}}:{0}| %{VERSION} %{RELEASE} %|SOURCERPM?{%{ARCH}}:{src}|\\n"


_HREF = re.compile(r"repodata/[0-9A-Za-z][\w.-]*\.gz")


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the metadata, relative to the repository."""

    href: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the metadata says of one RPM. `identity`: name, epoch, version, release, architecture."""

    identity: str
    sha256: str
    size: str


def wrong_metadata(folder: Path, runner: Runner) -> Iterator[Problem]:
    """Yield all that is wrong with a repository's metadata: digests, RPMs too many, missing, or other than it says."""
    where = folder.name
    try:
        files = _files(folder)
        yield from _wrong_files(folder, files)
        listed = _primary(folder / files["primary"].href)
    except (OSError, EOFError, zlib.error, ValueError, ET.ParseError, AttributeError) as error:
        yield Problem(f"its metadata cannot be read: {error}", where=f"{where}/repodata")
        return
    there = {path.name: path for path in sorted(folder.glob("*.rpm"))}
    for name in sorted(there.keys() - listed.keys()):
        yield Problem("the metadata does not list it", where=f"{where}/{name}")
    for name in sorted(listed.keys() - there.keys()):
        yield Problem("the metadata lists it, and it is not there", where=f"{where}/{name}")
    both = {name: path for name, path in there.items() if name in listed}
    try:
        identities = _identities(both, runner)
    except CommandError as error:
        yield from error.problems
        return
    except ValueError:
        yield Problem("an RPM in it has a name, version or architecture of more than one line", where=where)
        return
    for name, path in both.items():
        entry = listed[name]
        if entry.sha256 != digest_of(path) or entry.size != str(path.stat().st_size):
            yield Problem("it is not the file that the metadata describes", where=f"{where}/{name}")
        if entry.identity != identities[name]:
            what = f"it is {identities[name]}, and the metadata says {entry.identity}"
            yield Problem(what, where=f"{where}/{name}")


def _files(folder: Path) -> dict[str, _File]:
    """Return the metadata files that repomd.xml names, by their type. Raises ValueError for one elsewhere."""
    found = {}
    for data in _parsed((folder / "repodata" / "repomd.xml").read_bytes()).iter(f"{_REPO}data"):
        href = _attribute(data, f"{_REPO}location", "href")
        if not _HREF.fullmatch(href):
            raise ValueError(f"repomd.xml names {href!r}")
        found[data.attrib.get("type", "")] = _File(href, _text(data, f"{_REPO}checksum"))
    if "primary" not in found:
        raise ValueError("repomd.xml names no primary.xml")
    return found


def _wrong_files(folder: Path, files: Mapping[str, _File]) -> Iterator[Problem]:
    """Yield what repomd.xml says of the other files, and is not so."""
    for file in files.values():
        path = folder / file.href
        if not path.is_file() or path.is_symlink():
            yield Problem("repomd.xml names it, and it is not there", where=f"{folder.name}/{file.href}")
        elif file.sha256 != digest_of(path):
            yield Problem("it is not the file that repomd.xml describes", where=f"{folder.name}/{file.href}")
    named = {file.href for file in files.values()} | {f"repodata/repomd.xml{end}" for end in ("", ".asc")}
    for path in sorted((folder / "repodata").iterdir()):
        if f"repodata/{path.name}" not in named:
            yield Problem("repomd.xml does not name it", where=f"{folder.name}/repodata/{path.name}")


def _primary(path: Path) -> dict[str, _Listed]:
    """Return what the metadata lists, by file name."""
    with gzip.open(path) as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"primary.xml has more than {_LARGEST} bytes")
    found = {}
    for package in _parsed(data).iter(f"{_COMMON}package"):
        href = _attribute(package, f"{_COMMON}location", "href")
        version = _element(package, f"{_COMMON}version").attrib
        identity = (
            *(_text(package, f"{_COMMON}name"), version["epoch"], version["ver"], version["rel"]),
            _text(package, f"{_COMMON}arch"),
        )
        if href in found:
            raise ValueError(f"primary.xml lists {href} twice")
        size = _attribute(package, f"{_COMMON}size", "package")
        found[href] = _Listed(" ".join(identity), _text(package, f"{_COMMON}checksum"), size)
    return found


def _identities(paths: Mapping[str, Path], runner: Runner) -> dict[str, str]:
    if not paths:
        return {}
    command = ("rpm", "--query", "--package", "--nosignature", "--queryformat", _FORM, *map(str, paths.values()))
    return dict(zip(paths, runner(Command(command)).check().stdout.splitlines(), strict=True))


def _parsed(data: bytes) -> ET.Element:
    # entities are all that is dangerous in XML, and a repository's metadata declares none
    if b"<!" in data:
        raise ValueError("it has a document type")
    return ET.fromstring(data)  # noqa: S314


def _element(parent: ET.Element, name: str) -> ET.Element:
    found = parent.find(name)
    if found is None:
        raise ValueError(f"{name.rpartition('}')[2]} is missing")
    return found


def _text(parent: ET.Element, name: str) -> str:
    return _element(parent, name).text or ""


def _attribute(parent: ET.Element, name: str, key: str) -> str:
    return _element(parent, name).attrib.get(key, "")

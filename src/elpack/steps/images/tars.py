"""Writes layers: tars with the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.images.model import Layer
from elpack.model import Sha256
from elpack.steps.exchange import link_or_copy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One path of a layer, relative to the root.

    mode: with the type of file; mtime: epoch seconds. content: of a regular file, where it is not that of `source`;
    link: target of a symbolic link. same: of a regular file that a layer holds under several names, what they share.
    """

    path: str
    mode: int
    mtime: int
    uid: int = 0
    gid: int = 0
    source: Path | None = None
    content: bytes | None = None
    link: str = ""
    same: tuple[int, int] | None = None


def write_layer(name: str, members: Iterable[Member], into: Path) -> Layer:
    """Write a layer as `<name>.tar` into a folder, sorted by path. Raises `ImageError` for what no image may hold."""
    ordered = sorted(members, key=lambda one: os.fsencode(one.path))
    strange = [one.path for one in ordered if not (_is(one, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK))]
    if strange:
        what, fix = "it is neither file, folder nor link", "leave it out of the package that brings it"
        raise ImageError(*(Problem(what, where=f"/{path}", fix=fix) for path in strange))
    tar = into / f"{name}.tar"
    first: dict[tuple[int, int], str] = {}
    with tar.open("wb") as file:
        hashed = _Hashed(file)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as archive:
            for one in ordered:
                _add(archive, one, first)
    return Layer(name, tar, Sha256(hashed.digest.hexdigest()), tar.stat().st_size)


def placed(layer: Layer, into: Path) -> Layer:
    """Give a layer that is kept elsewhere its name in a folder, in the place of one that lies there."""
    into.mkdir(parents=True, exist_ok=True)
    place = into / f"{layer.name}.tar"
    place.unlink(missing_ok=True)
    link_or_copy(layer.tar, place)
    return replace(layer, tar=place)


def _add(archive: tarfile.TarFile, one: Member, first: dict[tuple[int, int], str]) -> None:
    info = tarfile.TarInfo(one.path)
    info.mode, info.mtime, info.uid, info.gid = stat.S_IMODE(one.mode), one.mtime, one.uid, one.gid
    if _is(one, stat.S_IFDIR):
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif _is(one, stat.S_IFLNK):
        info.type, info.linkname = tarfile.SYMTYPE, one.link
        info.mode = 0o777
        archive.addfile(info)
    elif one.same is not None and one.same in first:
        info.type, info.linkname = tarfile.LNKTYPE, first[one.same]
        archive.addfile(info)
    else:
        if one.same is not None:
            first[one.same] = one.path
        _add_file(archive, info, one)


def _add_file(archive: tarfile.TarFile, info: tarfile.TarInfo, one: Member) -> None:
    if one.content is not None or one.source is None:
        info.size = len(one.content or b"")
        archive.addfile(info, io.BytesIO(one.content or b""))
        return
    with one.source.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        archive.addfile(info, file)


def _is(one: Member, *types: int) -> bool:
    return stat.S_IFMT(one.mode) in types


class _Hashed(io.RawIOBase):
    """Passes on what is written, and takes its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        return self.file.write(data)

"""Gives an sdist that was made here the one form that depends on its files alone."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
from typing import IO, TYPE_CHECKING

from elpack.archives.members import LIMITS, Limits, Refusals

if TYPE_CHECKING:
    from pathlib import Path

_EXECUTABLE, _PLAIN = 0o755, 0o644


def repack(sdist: Path, limits: Limits = LIMITS) -> None:
    """Write an sdist anew, in place: sorted, without times and owners, and with two modes only.

    Backends put the time of packing into it, and who packed. Of members with one name the last one stays, as tar does
    it: of an unpacked sdist hatchling packs two PKG-INFO. Raises `ArchiveError` for a bomb and for what is no archive.
    """
    refusals = Refusals(sdist.name)
    partial = sdist.with_suffix(".partial")
    try:
        with (
            tarfile.open(sdist, "r:gz") as archive,
            tempfile.TemporaryFile(dir=sdist.parent) as spool,
            partial.open("wb") as file,
            # level 9 of zlib; a header without time and name
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as written,
        ):
            last = _last(archive, refusals, limits)
            places = _spooled(archive, last, spool)
            for member in last:
                spool.seek(places.get(member.name, 0))
                written.addfile(_plain(member), spool if member.isreg() else None)
        partial.replace(sdist)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the archive
        raise refusals.stop(f"is no gzipped tar archive: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _last(archive: tarfile.TarFile, refusals: Refusals, limits: Limits) -> list[tarfile.TarInfo]:
    """Return the last member of each name, sorted. Raises `ArchiveError` as soon as there is too much of it."""
    last: dict[str, tarfile.TarInfo] = {}
    total = 0
    for member in archive:
        last[member.name] = member
        total += member.size
        if len(last) > limits.members or total > limits.total:
            raise refusals.stop(f"holds more than {limits.members} members or {limits.total} bytes", member.name)
    return [last[name] for name in sorted(last)]


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.linkname = member.type, member.linkname
    plain.size = member.size if member.isreg() else 0
    plain.mode = _EXECUTABLE if member.isdir() or member.mode & 0o100 else _PLAIN
    plain.devmajor, plain.devminor = member.devmajor, member.devminor
    return plain


def _spooled(archive: tarfile.TarFile, members: list[tarfile.TarInfo], spool: IO[bytes]) -> dict[str, int]:
    """Write the contents of files one after the other, and return where each begins.

    They are read in the archive's own order: to go back in what is compressed is to begin again.
    """
    places = {}
    for member in sorted(members, key=lambda member: member.offset):
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None:
            places[member.name] = spool.tell()
            shutil.copyfileobj(content, spool)
    return places

"""Takes files out of an sdist that has passed every check."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from elpack.archives.members import LIMITS, Gate, Kind, Limits, Member, Refusals
from elpack.archives.streams import read_capped, reading, walk
from elpack.errors import DiskFullError, MissingMemberError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from elpack.archives.streams import Opener

_LATEST = 1 << 33  # times behind the year 2242 are a mistake, and some file systems refuse them


def sdist_member(path: Path, name: str, *, limits: Limits = LIMITS) -> bytes:
    """Return one regular file of an sdist, such as ``uv.lock``, by its path below the sdist's folder.

    Raises `ArchiveError` when it is missing, larger than `limits.text` bytes, or the archive is refused.
    """
    found = sdist_members(path, {name}, limits=limits)
    if name not in found:
        raise MissingMemberError(*Refusals(path.name).stop(f"holds no file {name}").problems)
    return found[name]


def sdist_members(path: Path, names: Collection[str], *, limits: Limits = LIMITS) -> dict[str, bytes]:
    """Return those regular files of an sdist that are there, by their path below the sdist's folder.

    Raises `ArchiveError` when one is larger than `limits.text` bytes, or the archive is refused.
    """
    refusals = Refusals(path.name)
    gate = Gate(refusals, path.stat().st_size, limits)
    found = {}
    for member, opener in walk(path, gate):
        inside = member.name.partition("/")[2]
        if inside in names and member.kind is Kind.FILE:
            found[inside] = read_capped(opener, refusals, member, limits)
    gate.finish()
    return found


def extract_sdist(path: Path, into: Path, *, limits: Limits = LIMITS) -> Path:
    """Unpack an sdist below the existing folder `into` and return its top folder, which must not be there yet.

    Modes become 0644 or 0755, times stay, owners and set-id bits do not. The archive is read twice: nothing is
    written before all of it has been checked. Raises `ArchiveError`, and `DiskFullError` after cleaning up.
    """
    refusals = Refusals(path.name)
    gate = Gate(refusals, path.stat().st_size, limits)
    for _ in walk(path, gate):
        pass
    folders = {name.partition("/")[0] for name in gate.finish()}
    if len(folders) != 1:
        raise refusals.stop(f"holds {len(folders)} entries at its top, not one folder")
    top = into / folders.pop()
    top.mkdir()
    try:
        for member, opener in walk(path, Gate(refusals, path.stat().st_size, limits)):
            with reading(refusals):
                _place(into, member, opener)
    except BaseException as error:
        shutil.rmtree(top, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(Problem(f"no space left to unpack {path.name}", str(into))) from error
        raise
    return top


def _place(into: Path, member: Member, opener: Opener) -> None:
    place = into / member.name
    if member.kind is Kind.FOLDER:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.kind is Kind.SYMLINK:
        place.symlink_to(member.target)
    elif member.kind is Kind.HARDLINK:
        os.link(into / member.target, place)
    else:
        with opener() as source, place.open("xb") as file:
            shutil.copyfileobj(source, file)
        place.chmod(0o755 if member.mode & 0o111 else 0o644)
        time = min(member.mtime, _LATEST)
        os.utime(place, (time, time))

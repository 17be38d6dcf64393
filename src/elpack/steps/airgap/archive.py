"""Writes one tar archive of many files: the same files give the same bytes, whenever and wherever it is written."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elpack.errors import Problem, PublishError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: where its content lies, or the content itself. runs: it is a program."""

    content: Path | bytes
    sha256: str
    runs: bool = False


class _Tee:
    """Hashes what goes through a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


def member(path: Path) -> Member:
    """Return a file of this disk as a member."""
    with path.open("rb") as file:
        return Member(path, hashlib.file_digest(file, "sha256").hexdigest())


def text_member(text: str, *, runs: bool = False) -> Member:
    """Return a text as a member."""
    content = text.encode()
    return Member(content, hashlib.sha256(content).hexdigest(), runs)


def write_archive(final: Path, folder: str, members: Mapping[str, Member], time: int) -> str:
    """Write the members, by their path in a folder, in one step, and return the sha256 of the archive.

    time: of all files, in seconds since 1970. Raises `PublishError` when a file is changed meanwhile.
    """
    partial = final.with_name(f".{final.name}.partial")
    try:
        with partial.open("wb") as file:
            out = _Tee(file)
            with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
                for path, one in sorted(members.items()):
                    _add(archive, f"{folder}/{path}", one, time)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.rename(final)
    finally:
        partial.unlink(missing_ok=True)
    return out.digest.hexdigest()


def _add(archive: tarfile.TarFile, name: str, one: Member, time: int) -> None:
    with io.BytesIO(one.content) if isinstance(one.content, bytes) else one.content.open("rb") as file:
        info = tarfile.TarInfo(name)
        info.size = len(one.content) if isinstance(one.content, bytes) else os.fstat(file.fileno()).st_size
        info.mtime, info.mode = time, 0o755 if one.runs else 0o644
        info.uname = info.gname = "root"
        tee = _Tee(file)
        archive.addfile(info, tee)
        if tee.digest.hexdigest() != one.sha256:
            what = "it was changed while it was packed"
            raise PublishError(Problem(what, name, fix="let nothing write to dist, then run it again"))

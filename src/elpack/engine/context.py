"""What a build is given: its context as a stream; and a Containerfile in two parts, so that tars are sent once."""

from __future__ import annotations

import re
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CONTAINERFILE = ".elpack.Containerfile"
"""The name of the Containerfile in the context that is sent."""
_CHUNK = 1 << 20
_COMMENT = re.compile(r"\s*(#|$)")
_FROM = re.compile(r"FROM (?:--platform=\S+ )?(\S+)\Z")
_ADD = re.compile(r"ADD ([\w][\w.-]*\.tar) /\Z")


@dataclass(frozen=True, slots=True)
class Parts:
    """A Containerfile of one stage that begins with tars: its base, the tars, and what follows."""

    base: str
    tars: tuple[str, ...]
    rest: str

    def second(self, image: str) -> str:
        """Return the Containerfile of what is left, upon an image that has the tars."""
        return f"FROM {image}\n{self.rest}"


def parted(text: str) -> Parts | None:
    """Return the parts of a Containerfile with one stage, whose first steps are ``ADD some.tar /``; None for others."""
    lines = text.splitlines(keepends=True)
    steps = [(number, line.rstrip()) for number, line in enumerate(lines) if not _COMMENT.match(line)]
    if not steps or not (base := _FROM.match(steps[0][1])):
        return None
    if any(line.upper().startswith("FROM ") for _, line in steps[1:]):
        return None
    tars: list[tuple[int, str]] = []
    for number, line in steps[1:]:
        if not (tar := _ADD.match(line)):
            break
        tars.append((number, tar[1]))
    if not tars:
        return None
    return Parts(base[1], tuple(name for _, name in tars), "".join(lines[tars[-1][0] + 1 :]))


def runs(text: str) -> bool:
    """Tell whether a Containerfile runs something: podman's cache would not see what a mount changed."""
    return any(line.lstrip().upper().startswith("RUN") for line in text.splitlines())


def sent(containerfile: str, context: Path, without: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield the context as a tar, with the Containerfile in it. Raises OSError."""
    yield from _member(CONTAINERFILE, containerfile.encode())
    for path in _below(context):
        name = path.relative_to(context).as_posix()
        if name not in without and name != CONTAINERFILE:
            yield from _file(path, name)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    yield _header(info)
    yield content + _padding(len(content))


def _file(path: Path, name: str) -> Iterator[bytes]:
    found = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif not stat.S_ISREG(found.st_mode):
        return
    else:
        info.size = found.st_size
    yield _header(info)
    if not info.size:
        return
    with path.open("rb") as file:
        left = info.size
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
    if left:
        raise OSError(None, "it was cut while it was read", str(path))
    yield _padding(info.size)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)

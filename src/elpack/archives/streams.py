"""Walks the members of a tar.gz or zip once, in order, within limits; both formats look the same from outside."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from calendar import timegm
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeVar

from elpack.archives.members import LIMITS, Gate, Kind, Limits, Member, Refusals
from elpack.archives.zip_layout import check_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opener = Callable[[], IO[bytes]]

T = TypeVar("T")

_CHUNK = 1 << 16
_BLOCK = 512
_HEADERS = 1 << 18
"""Bytes of all headers of one member; its name and its target have some hundred."""
_DIGITS = re.compile(rb"[0-9]{64}")
_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""More than these two is in no wheel, and not every installer reads it."""
_BROKEN = (
    EOFError,
    NotImplementedError,  # an unknown compression
    RecursionError,  # a header before a header before a header
    OverflowError,  # a number that no file can have
    ValueError,  # a number that is none, text that is not UTF-8
    gzip.BadGzipFile,
    io.UnsupportedOperation,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def walk(path: Path, gate: Gate) -> Iterator[tuple[Member, Opener]]:
    """Yield each member with a function that opens its content, to be called before the next one is asked for.

    Members are yielded before the archive has been judged as a whole: nothing may be done with them that could
    not be thrown away, until `gate.finish()` has passed. Raises `ArchiveError` for a broken or cut archive.
    """
    with reading(gate.refusals):
        if path.name.endswith((".zip", ".whl")):
            with zipfile.ZipFile(path) as archive:
                yield from walk_zip(archive, gate)
        else:
            with gzip.open(path) as raw:
                yield from _walk_tar(_Forward(raw, gate), gate)


@contextmanager
def reading(refusals: Refusals) -> Iterator[None]:
    """Turn what the standard library raises on broken archives into `ArchiveError`."""
    try:
        yield
    except _BROKEN as error:
        raise refusals.stop(f"is damaged or cut short: {str(error) or type(error).__name__}") from error


def read_capped(opener: Opener, refusals: Refusals, member: Member, limits: Limits = LIMITS) -> bytes:
    """Return a member's content. Raises `ArchiveError` when it is larger than `limits.text` bytes."""
    if member.size > limits.text:
        raise refusals.stop(f"is larger than {limits.text} bytes", member.name)
    with reading(refusals), opener() as file:
        return file.read()


def walk_zip(archive: zipfile.ZipFile, gate: Gate) -> Iterator[tuple[Member, Opener]]:
    """Yield a zip's members. Encrypted ones and names with backslashes are refused."""
    check_layout(archive, gate.refusals)
    for info in archive.infolist():
        # ZipInfo.filename is already cut at a NUL byte.
        name = info.orig_filename
        if info.flag_bits & _ENCRYPTED:
            gate.refusals.add("is encrypted", name)
        if "\\" in name:
            gate.refusals.add("has a backslash in its name, where zip asks for '/'", name)
        if info.compress_type not in _COMPRESSIONS:
            gate.refusals.add(f"is compressed by method {info.compress_type}, neither stored nor deflated", name)
        if name.endswith("/") and info.file_size:
            gate.refusals.add("is a folder that holds data", name)
        if _zip_kind(info) is Kind.SYMLINK:
            gate.refusals.add("is a symbolic link, which is not supported in a zip", name)
            continue
        member = Member(name.removesuffix("/"), _zip_kind(info), info.file_size, _zip_mode(info), _zip_time(info))
        gate.admit(member)
        yield member, lambda info=info: archive.open(info)  # type: ignore[misc]


def _zip_kind(info: zipfile.ZipInfo) -> Kind:
    form = stat.S_IFMT(info.external_attr >> 16)
    if info.orig_filename.endswith("/"):
        return Kind.FOLDER
    if form in {0, stat.S_IFREG}:
        return Kind.FILE
    return Kind.SYMLINK if form == stat.S_IFLNK else Kind.SPECIAL


def _zip_mode(info: zipfile.ZipInfo) -> int:
    return (info.external_attr >> 16) & 0o777


def _zip_time(info: zipfile.ZipInfo) -> int:
    try:
        return max(timegm(info.date_time), 0)
    except ValueError:  # month 0 is how some tools say that they do not know
        return 0


def _walk_tar(stream: _Forward, gate: Gate) -> Iterator[tuple[Member, Opener]]:
    with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
        while info := stream.header(archive.next):
            if info.issparse():
                gate.refusals.add("is a sparse file, which programs read in different ways", info.name)
            name = info.name.removeprefix("./") or "."
            if name == "." and info.isdir():
                continue
            # linkname of a hard link is a member's name; of a symbolic link it is relative to the link.
            target = info.linkname.removeprefix("./") if info.islnk() else info.linkname
            size = info.size if info.isreg() else 0
            member = Member(name, _tar_kind(info), size, info.mode & 0o777, _tar_time(info), target)
            gate.admit(member)
            yield member, lambda info=info: _tar_content(archive, info)  # type: ignore[misc]
    stream.check_end()


def _tar_kind(info: tarfile.TarInfo) -> Kind:
    if info.isreg():
        return Kind.FILE
    if info.isdir():
        return Kind.FOLDER
    if info.issym():
        return Kind.SYMLINK
    return Kind.HARDLINK if info.islnk() else Kind.SPECIAL


def _tar_time(info: tarfile.TarInfo) -> int:
    return max(int(info.mtime), 0) if math.isfinite(info.mtime) else 0


def _tar_content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(info)
    if content is None:
        raise tarfile.ReadError(f"{info.name!r} has no content")
    return content


class _Forward(io.BufferedIOBase):
    """A decompressed stream that counts what it yields and only seeks forward, so a bomb stops at its limit."""

    def __init__(self, raw: gzip.GzipFile, gate: Gate) -> None:
        self._raw = raw
        self._gate = gate
        self._position = 0
        self._last = b""
        self._left = _HEADERS
        self._in_header = True

    def header(self, read: Callable[[], T]) -> T:
        """Return what a function reads that reads nothing but the headers of the next member."""
        self._left, self._in_header = _HEADERS, True
        try:
            return read()
        finally:
            self._in_header = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes; tarfile asks for whole extended headers at once, hence the limit."""
        if size is None or not 0 <= size <= max(self._gate.limits.text, _CHUNK):
            raise self._gate.refusals.stop("has a header of unreasonable size")
        if self._in_header:
            return self._read_header(size)
        return self._advance(size)

    def _read_header(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise self._gate.refusals.stop("has a header of unreasonable size")
        data = self._advance(size)
        # tarfile looks for a length before each word, in a time that grows with the square of the digits there
        if size > _BLOCK and _DIGITS.search(data):
            raise self._gate.refusals.stop("has an extended header with a number of unreasonable length")
        return data

    def _advance(self, size: int) -> bytes:
        self._last = self._raw.read(size)
        self._position += len(self._last)
        self._gate.check_expanded(self._position)
        return self._last

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Read on to an absolute position at or behind the present one."""
        if whence != io.SEEK_SET or offset < self._position:
            raise io.UnsupportedOperation("an archive is read forward only")
        while self._position < offset and self._advance(min(_CHUNK, offset - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        """Return the count of bytes yielded."""
        return self._position

    def check_end(self) -> None:
        """Read to the end, for gzip's checksum. tarfile ends silently at a header that it cannot read."""
        tail = self._last
        while tail and not tail.strip(b"\0"):
            tail = self._advance(_CHUNK)
        if tail:
            raise tarfile.ReadError(f"no tar header at byte {self._position - len(tail)}")
        if self._position % _BLOCK:
            raise tarfile.ReadError("the last block is incomplete")

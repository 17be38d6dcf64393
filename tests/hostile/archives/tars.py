"""Tars written header by header, and sdists made of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass, field

from tests.hostile.corpus import LOCK, Project, filled, wheel


@dataclass
class Member:
    """One member; `pax` are records of an extended header before it, as they are given."""

    name: str | bytes
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    size: int | None = None
    mtime: int = 0
    pax: dict[str, str] = field(default_factory=dict)
    raw_pax: bytes = b""
    prefix: bytes = b""

    def header(self) -> bytes:
        name = self.name if isinstance(self.name, bytes) else self.name.encode(errors="surrogateescape")
        size = len(self.data) if self.size is None else self.size
        linked = self.link.encode()
        number = b"%011o\0" % size if 0 <= size < 8**11 else b"\x80" + (size % (1 << 88)).to_bytes(11, "big")
        head = bytearray(512)
        head[0:100] = name[:100].ljust(100, b"\0")
        head[100:108] = b"%07o\0" % self.mode
        head[108:124] = b"0000000\0" * 2
        head[124:136] = number
        head[136:148] = b"%011o\0" % self.mtime
        head[148:156] = b" " * 8
        head[156:157] = self.type
        head[157:257] = linked[:100].ljust(100, b"\0")
        head[257:265] = b"ustar\x0000"
        head[345:500] = self.prefix.ljust(155, b"\0")
        head[148:156] = b"%06o\0 " % sum(head)
        return bytes(head)

    def packed(self) -> bytes:
        extended = self.raw_pax or b"".join(pax_record(key, value) for key, value in self.pax.items())
        before = Member("PaxHeader", extended, tarfile.XHDTYPE).packed() if extended else b""
        return before + self.header() + self.data + bytes(-len(self.data) % 512)


def pax_record(key: str, value: str) -> bytes:
    """Return one record of an extended header, with its length in front, which counts itself."""
    rest = f" {key}={value}\n".encode(errors="surrogateescape")
    length = len(rest) + 1
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def sound() -> list[Member]:
    """Return the members of a sound sdist."""
    project = Project()
    lock = filled(LOCK, wheel(project.wheel_files), project.wheel_name)
    files = project.sdist_files | {"uv.lock": lock}
    return [Member(f"app-1.0/{path}", data) for path, data in files.items()]


def tar_of(members: list[Member]) -> bytes:
    """Return a tar with its two blocks of zeros at the end."""
    return b"".join(member.packed() for member in members) + bytes(1024)


def sdist_of(*more: Member, without: str = "", after: bytes = b"") -> bytes:
    """Return an sdist of sound members and more."""
    members = [member for member in sound() if member.name != f"app-1.0/{without}"]
    return packed(tar_of([*members, *more]) + after)


def packed(data: bytes) -> bytes:
    """Return data as gzip packs them, always the same."""
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, out, mtime=0) as file:
        file.write(data)
    return out.getvalue()

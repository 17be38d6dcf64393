"""What a tree holds when uv has unpacked wheels into it and nothing else: paths and digests, read from the wheels."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from elpack.archives.members import Refusals
from elpack.archives.metadata import parse_entry_points
from elpack.archives.streams import reading
from elpack.plan.paths import wheel_path

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 256


def installed(wheel: Path, prefix: str, python: str) -> dict[str, str]:
    """Return the files that a wheel becomes, by path below the prefix, with their sha256; "" where uv writes them.

    python: what the interpreter is called, such as python3.12.

    The wheel itself has been verified, and its RECORD against it, when it was fetched. Raises `ArchiveError`.
    """
    refusals = Refusals(wheel.name)
    found: dict[str, str] = {}
    with reading(refusals), zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD") and name.count("/") == 1)
        info = record.partition("/")[0]
        for row in csv.reader(io.StringIO(archive.read(record).decode(), newline="")):
            if not row or row[0] == record or row[0].startswith((f"{info}/RECORD.", f"{info}/INSTALLER")):
                continue
            if row[0].endswith(".pyc") and "/__pycache__/" in row[0]:
                continue  # some wheels bring their packer's; all are compiled here
            path = wheel_path(row[0], python)
            found[path] = _script(archive, row[0], prefix) if path.startswith("bin/") else _digest(row[1], refusals)
        found[wheel_path(record, python)] = ""
        if f"{info}/entry_points.txt" in archive.namelist():
            text = archive.read(f"{info}/entry_points.txt").decode()
            points = parse_entry_points(text, "entry_points.txt", refusals)
            for group in ("console_scripts", "gui_scripts"):
                found |= {f"bin/{point.name}": "" for point in points.get(group, ())}
    refusals.check()
    return found


def _digest(recorded: str, refusals: Refusals) -> str:
    """Return the digest of a line of RECORD; "" for those that are no sha256, which only the wheel's own speaks for."""
    algorithm, _, value = recorded.partition("=")
    if algorithm != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except binascii.Error as error:
        raise refusals.stop(f"has no usable hash in RECORD: {recorded!a}") from error


def _script(archive: zipfile.ZipFile, name: str, prefix: str) -> str:
    """Return the digest of a command that lies in a wheel as it is; its first line names the tree's interpreter."""
    content = archive.read(name)
    first, _, rest = content.partition(b"\n")
    if first[:_HEAD].startswith(b"#!") and b"python" in first[:_HEAD]:
        content = f"#!{prefix}/bin/python\n".encode() + rest
    return hashlib.sha256(content).hexdigest()

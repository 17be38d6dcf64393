"""Gives a wheel that was made here the one form that depends on its files alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.archives.members import LIMITS, Gate, Kind, Limits, Refusals
from elpack.archives.streams import read_capped, reading, walk_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that zip archives know. What is inside has no other, whenever it was built."""
_LEVEL = 9
_SIGNATURES = (".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")


def rewheel(wheel: Path, limits: Limits = LIMITS) -> None:
    """Write a wheel anew, in place: sorted, without times, with two modes only, and a RECORD that fits.

    `.dist-info` stands last, as PEP 427 asks for, with RECORD behind all. Nothing of its files is changed, so that
    its SBOMs stay. Raises `ArchiveError` for a bomb and for what is no wheel.
    """
    refusals = Refusals(wheel.name)
    files = _files(wheel, refusals, limits)
    infos = {top for path in files if (top := path.partition("/")[0]).endswith(".dist-info")}
    if len(infos) != 1:
        raise refusals.stop(f"holds {len(infos)} .dist-info folders, not one")
    record = f"{infos.pop()}/RECORD"
    kept = {path: value for path, value in files.items() if path != record and not path.endswith(_SIGNATURES)}
    partial = wheel.with_suffix(".partial")
    try:
        _write(kept, record, partial)
        partial.replace(wheel)
    finally:
        partial.unlink(missing_ok=True)


def _files(wheel: Path, refusals: Refusals, limits: Limits) -> dict[str, tuple[bytes, bool]]:
    """Return content and executable bit by path, of an archive that passes every check."""
    gate = Gate(refusals, wheel.stat().st_size, limits)
    found = {}
    with reading(refusals), zipfile.ZipFile(wheel) as archive:
        members = list(walk_zip(archive, gate))
        gate.finish()
        for member, opener in members:
            if member.kind is Kind.FILE:
                whole = replace(limits, text=max(limits.text, member.size))  # the gate knows the most of all
                found[member.name] = (read_capped(opener, refusals, member, whole), bool(member.mode & 0o111))
    return found


def _write(files: Mapping[str, tuple[bytes, bool]], record: str, into: Path) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path in sorted(files, key=lambda path: (".dist-info/" in path, path)):
            content, executable = files[path]
            archive.writestr(_member(path, executable=executable), content, compresslevel=_LEVEL)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.writerow((path, f"sha256={digest}", len(content)))
        rows.writerow((record, "", ""))
        archive.writestr(_member(record, executable=False), text.getvalue(), compresslevel=_LEVEL)


def _member(path: str, *, executable: bool) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, _TIME)
    member.create_system = 3  # Unix, so that the mode counts
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = (0o100755 if executable else 0o100644) << 16
    return member

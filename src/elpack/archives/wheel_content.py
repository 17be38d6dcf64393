"""Reads of a wheel what it is judged by: its machine code, its tags, its zip. Built upon `read_wheel`."""

from __future__ import annotations

import hashlib
import zipfile
from email.parser import BytesParser
from math import prod
from typing import TYPE_CHECKING

from packaging.tags import parse_tag

from elpack.archives.elf import HEAD, machine_of
from elpack.archives.members import LIMITS, Gate, Kind, Limits, Member, Refusals
from elpack.archives.streams import read_capped, reading, walk_zip
from elpack.archives.wheel import read_wheel
from elpack.model import Sha256, Trace
from elpack.sound_elf import MAGIC
from elpack.wheels.elf import read_elf
from elpack.wheels.judge import expanded
from elpack.wheels.judgement import WheelContent, ZipMember

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from elpack.archives.streams import Opener
    from elpack.wheels.elf import Elf

_LARGEST = 512 << 20
"""Bytes of one file with machine code that are read into memory."""
_TAGS = 100_000
"""Tags that a WHEEL file may stand for; the 255 characters of a file name do not hold as many."""


def read_wheel_content(path: Path, *, limits: Limits = LIMITS) -> WheelContent:
    """Return what a wheel is judged by; every file is held against RECORD first. Raises `ArchiveError`."""
    with path.open("rb") as file:
        sha256 = Sha256(hashlib.file_digest(file, "sha256").hexdigest())
    facts = read_wheel(path, sha256, limits=limits)
    refusals = Refusals(path.name)
    with reading(refusals), zipfile.ZipFile(path) as archive:
        gate = Gate(refusals, path.stat().st_size, limits)
        members = list(walk_zip(archive, gate))
        gate.finish()
        files = [(member, opener) for member, opener in members if member.kind is Kind.FILE]
        code, broken = _code(files, refusals)
        fields = BytesParser().parsebytes(_named(files, ".dist-info/WHEEL", refusals, limits))
        systems = [info.create_system for info in archive.infolist()]
    sboms = tuple(sorted(member.name for member, _ in files if ".dist-info/sboms/" in member.name))
    return WheelContent(
        facts=facts,
        tags=expanded(path.name),
        said_tags=_said(fields.get_all("Tag", ())),
        generator=str(fields.get("Generator", "")).strip(),
        code=code,
        broken=broken,
        members=tuple(
            ZipMember(member.name, member.mtime, member.mode, system)
            for (member, _), system in zip(members, systems, strict=True)
        ),
        sboms=sboms,
        unread=tuple(sorted({one.file for one in facts.carried if one.trace is Trace.UNREAD})),
    )


def _said(lines: Iterable[object]) -> frozenset[str]:
    """Return the tags of a WHEEL file; some tools write several at once, as a file name does."""
    said = frozenset(str(line).strip() for line in lines)
    if sum(prod(part.count(".") + 1 for part in line.split("-")) for line in said) > _TAGS:
        return said  # no file name holds as many, so that they are other ones in any case
    try:
        return frozenset(str(tag) for line in said for tag in parse_tag(line))
    except ValueError:
        return said


def _code(files: list[tuple[Member, Opener]], refusals: Refusals) -> tuple[dict[str, Elf], dict[str, str]]:
    code: dict[str, Elf] = {}
    broken: dict[str, str] = {}
    for member, opener in files:
        with opener() as file:
            head = file.read(len(MAGIC))
            if head != MAGIC:
                continue
            if member.size > _LARGEST:
                raise refusals.stop(f"is machine code of more than {_LARGEST} bytes", member.name)
            content = head + file.read()
        try:
            if elf := read_elf(content, machine_of(content[:HEAD])):
                code[member.name] = elf
        except ValueError as error:
            broken[member.name] = str(error)
    return code, broken


def _named(files: list[tuple[Member, Opener]], end: str, refusals: Refusals, limits: Limits) -> bytes:
    """Return the file of the one dist-info folder, which `read_wheel` has found there."""
    for member, opener in files:
        if member.name.endswith(end) and member.name.count("/") == 1:
            return read_capped(opener, refusals, member, limits)
    raise refusals.stop(f"lacks {end}")

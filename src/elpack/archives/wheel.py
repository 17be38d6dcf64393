"""Reads one wheel (PEP 427 and its successors on packaging.python.org) as facts for the plan."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from dataclasses import replace
from email.parser import BytesParser
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from elpack.archives.carried import carried_inside
from elpack.archives.elf import machine_code
from elpack.archives.members import LIMITS, Gate, Kind, Limits, Member, Refusals
from elpack.archives.metadata import parse_entry_points, parse_metadata, same_dist
from elpack.archives.streams import read_capped, reading, walk_zip
from elpack.licence_texts import LONGEST, is_licence_file, recognise
from elpack.model import ArchivedFile, WheelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.version import Version

    from elpack.archives.streams import Opener
    from elpack.model import EntryPoint, Sha256

_NOT_RECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
# The specification forbids md5 and sha1.
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_SCHEMES = ("data", "headers", "platlib", "purelib", "scripts")
_WHOLE = 1 << 20


def read_wheel(path: Path, sha256: Sha256, *, limits: Limits = LIMITS, verify_contents: bool = True) -> WheelFacts:
    """Read a wheel without unpacking it.

    `sha256` is what `fetch` has verified; it is passed on, not checked again. With `verify_contents` every file is
    decompressed and compared with its hash in RECORD; the facts are the same without. Raises `ArchiveError`
    with all that is wrong.
    """
    refusals = Refusals(path.name)
    with reading(refusals), zipfile.ZipFile(path) as archive:
        gate = Gate(refusals, path.stat().st_size, limits)
        openers = {member.name: opener for member, opener in walk_zip(archive, gate)}
        wheel = _Wheel(path.name, gate.finish(), openers, refusals, limits)
        facts = wheel.facts(sha256)
        if verify_contents:
            wheel.check_record()
        refusals.check()
    return facts


class _Wheel:
    def __init__(
        self,
        filename: str,
        members: dict[str, Member],
        openers: dict[str, Opener],
        refusals: Refusals,
        limits: Limits,
    ) -> None:
        self._filename = filename
        self._members = members
        self._openers = openers
        self._refusals = refusals
        self._limits = limits
        self._name, self._version = self._parse_filename()
        self._info = self._find_info()
        self._check_data()

    def facts(self, sha256: Sha256) -> WheelFacts:
        metadata = parse_metadata(self._info_file("METADATA"), f"{self._info}/METADATA", self._refusals)
        if metadata.name and not same_dist(metadata.name, metadata.version, self._name, self._version):
            found = ascii(f"{metadata.name} {metadata.version}")
            self._refusals.add(f"is about {found}, not what the file name says", f"{self._info}/METADATA")
        scripts = self._entry_points()
        return WheelFacts(
            filename=self._filename,
            sha256=sha256,
            metadata=replace(metadata, licences_read=self._licences()),
            root_is_purelib=self._root_is_purelib(),
            files=tuple(ArchivedFile(member.name, member.size, member.mode) for member in self._files()),
            console_scripts=scripts.get("console_scripts", ()),
            gui_scripts=scripts.get("gui_scripts", ()),
            carried=carried_inside(self._name, str(self._version), self._files(), self._openers, self._limits),
            code=machine_code(self._files(), self._openers),
        )

    def check_record(self) -> None:
        """Compare RECORD with what is there, both ways."""
        recorded: dict[str, tuple[str, str]] = {}
        for name, said in self._record():
            if recorded.setdefault(name, said) != said:
                self._refusals.add("stands in RECORD twice, with different hashes or sizes", name)
        for member in self._files():
            if member.name in {f"{self._info}/{name}" for name in _NOT_RECORDED}:
                continue
            if member.name not in recorded:
                self._refusals.add("is not listed in RECORD", member.name)
            else:
                self._check_file(member, *recorded[member.name])
        for name in sorted(recorded.keys() - self._members.keys()):
            self._refusals.add("is listed in RECORD and missing", name)

    def _parse_filename(self) -> tuple[str, Version]:
        try:
            name, version, _, _ = parse_wheel_filename(self._filename)
        except InvalidWheelFilename as error:
            raise self._refusals.stop(f"is no file name of a wheel: {error}") from error
        return name, version

    def _find_info(self) -> str:
        tops = {name.split("/", 1)[0] for name in self._members}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            raise self._refusals.stop(f"holds {len(found)} dist-info folders, not one")
        name, _, version = found[0].removesuffix(".dist-info").rpartition("-")
        if not same_dist(name, version, self._name, self._version):
            self._refusals.add("is not the dist-info folder that the file name promises", found[0])
        return found[0]

    def _check_data(self) -> None:
        """Note files of a .data folder that no scheme says where to put, and folders of another dist's data."""
        for name in self._members:
            folder, _, inside = name.partition("/")
            if not folder.endswith(".data"):
                continue
            owner, _, version = folder.removesuffix(".data").rpartition("-")
            if not same_dist(owner, version, self._name, self._version):
                self._refusals.add("lies in a .data folder that is not this wheel's", name)
            elif inside and inside.partition("/")[0] not in _SCHEMES:
                self._refusals.add(f"lies in no scheme of a wheel's data: {', '.join(_SCHEMES)}", name)
            elif inside in _SCHEMES and self._members[name].kind is not Kind.FOLDER:
                self._refusals.add("is a file where a scheme's folder should be", name)

    def _files(self) -> list[Member]:
        return sorted(
            (member for member in self._members.values() if member.kind is Kind.FILE), key=lambda file: file.name
        )

    def _info_file(self, name: str) -> bytes:
        member = self._members.get(f"{self._info}/{name}")
        if member is None or member.kind is not Kind.FILE:
            raise self._refusals.stop(f"lacks {name} in {self._info}")
        return read_capped(self._openers[member.name], self._refusals, member, self._limits)

    def _text(self, name: str) -> str:
        try:
            return self._info_file(name).decode()
        except UnicodeDecodeError:
            raise self._refusals.stop("is not UTF-8", f"{self._info}/{name}") from None

    def _licences(self) -> tuple[str, ...]:
        """Return what each licence file in the dist-info folder is, by the order of their paths."""
        found = []
        for member in self._files():
            path = member.name.removeprefix(f"{self._info}/").removeprefix("licenses/")
            if member.name.startswith(f"{self._info}/") and is_licence_file(path):
                small = member.size <= LONGEST
                text = read_capped(self._openers[member.name], self._refusals, member, self._limits) if small else b""
                found.append(recognise(text.decode(errors="replace")))
        return tuple(found)

    def _root_is_purelib(self) -> bool:
        fields = BytesParser().parsebytes(self._info_file("WHEEL"))
        wheel_version = str(fields.get("Wheel-Version", "")).strip()
        if wheel_version.split(".")[0] != "1":
            self._refusals.add(f"has Wheel-Version {wheel_version!a}; elpack knows 1", f"{self._info}/WHEEL")
        purelib = str(fields.get("Root-Is-Purelib", "")).strip().lower()
        if purelib not in {"true", "false"}:
            self._refusals.add("does not say Root-Is-Purelib: true or false", f"{self._info}/WHEEL")
        return purelib == "true"

    def _entry_points(self) -> dict[str, tuple[EntryPoint, ...]]:
        if f"{self._info}/INSTALLER" in self._members:
            self._refusals.add("is written by installers alone, and is in the wheel", f"{self._info}/INSTALLER")
        if f"{self._info}/entry_points.txt" not in self._members:
            return {}
        return parse_entry_points(self._text("entry_points.txt"), f"{self._info}/entry_points.txt", self._refusals)

    def _record(self) -> Iterator[tuple[str, tuple[str, str]]]:
        member = f"{self._info}/RECORD"
        try:
            for row in csv.reader(io.StringIO(self._text("RECORD"), newline=""), strict=True):
                if len(row) == len(("path", "hash", "size")):
                    yield row[0], (row[1], row[2])
                elif row:
                    self._refusals.add(f"has a line with {len(row)} fields instead of three", member)
        except csv.Error as error:
            self._refusals.add(f"is not CSV: {error}", member)

    def _check_file(self, member: Member, recorded: str, size: str) -> None:
        algorithm, _, expected = recorded.partition("=")
        if algorithm not in _HASHES:
            self._refusals.add(f"has no usable hash in RECORD: {recorded!a}", member.name)
            return
        digest = _digest(self._openers[member.name], member.size, algorithm)
        if base64.urlsafe_b64encode(digest).rstrip(b"=") != expected.rstrip("=").encode():
            self._refusals.add(f"does not match its {algorithm} in RECORD", member.name)
        elif size and size != str(member.size):
            self._refusals.add(f"has {member.size} bytes, RECORD says {size!a}", member.name)


def _digest(opener: Opener, size: int, algorithm: str) -> bytes:
    with opener() as file:
        # file_digest allocates a quarter of a megabyte, too much for thousands of small files.
        if size <= _WHOLE:
            return hashlib.new(algorithm, file.read()).digest()
        return hashlib.file_digest(file, algorithm).digest()  # type: ignore[arg-type]

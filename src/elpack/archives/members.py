"""What an archive may hold: the checks that every member of a wheel or sdist passes, whatever its format."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from elpack.errors import ArchiveError, Problem

_MOST_REFUSALS = 40
_LONGEST_COMPONENT = 255
_FAULTS = (
    ("has an empty name", re.compile(r"\A\Z")),
    ("has control characters in its name", re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")),
    ("has a name that is not UTF-8", re.compile(r"[\ud800-\udfff]")),
    ("has an absolute path", re.compile(r"\A(/|[A-Za-z]:)")),
    ("climbs out of the archive with '..'", re.compile(r"(\A|/)\.\.(/|\Z)")),
    ("has a path that is not in its shortest form", re.compile(r"(\A|/)\.?(/|\Z)")),
    ("has a name too long for a file system", re.compile(r".{900}")),
    ("lies too deep in folders", re.compile(r"([^/]*/){64}")),
    ("has marks of text direction in its name", re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where an archive counts as a bomb. Sizes are in bytes; the ratio counts only above `ratio_from` bytes."""

    total: int = 2 << 30
    members: int = 100_000
    ratio: int = 200
    ratio_from: int = 32 << 20
    text: int = 16 << 20
    """The most that is read into memory of one member, such as METADATA or a tar's extended header."""


LIMITS = Limits()


class Kind(StrEnum):
    """What a member is; the text stands in messages."""

    FILE = "a file"
    FOLDER = "a folder"
    SYMLINK = "a symbolic link"
    HARDLINK = "a hard link"
    SPECIAL = "a device or pipe"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive. `size` in bytes, `mtime` in epoch seconds, `target` only of links."""

    name: str
    kind: Kind
    size: int
    mode: int = 0
    mtime: int = 0
    target: str = ""


class Refusals:
    """Collects all that is wrong with one archive, to be raised once."""

    def __init__(self, archive: str) -> None:
        self.archive = archive
        self._problems: list[Problem] = []
        self._more = 0

    def add(self, what: str, member: str = "", why: str = "") -> None:
        """Note one problem. Member names are untrusted and may hold terminal escapes, so they are quoted."""
        if len(self._problems) >= _MOST_REFUSALS:
            self._more += 1
            return
        self._problems.append(self._problem(what, member, why))

    def stop(self, what: str, member: str = "", why: str = "") -> ArchiveError:
        """Return the error for a problem after which reading on would cost too much or say nothing."""
        self._problems.append(self._problem(what, member, why))
        return self._error()

    def check(self) -> None:
        """Raise `ArchiveError` if anything was noted."""
        if self._problems:
            raise self._error()

    def _problem(self, what: str, member: str, why: str) -> Problem:
        return Problem(what, f"{self.archive}: {member!a}" if member else self.archive, why)

    def _error(self) -> ArchiveError:
        more = [Problem(f"{self._more} more problems like these", self.archive)] if self._more else []
        return ArchiveError(*self._problems, *more)


class Gate:
    """Admits the members of one archive one by one. Bombs are refused at once, the rest is collected."""

    def __init__(self, refusals: Refusals, compressed: int, limits: Limits = LIMITS) -> None:
        self.refusals = refusals
        self.limits = limits
        self._compressed = max(compressed, 1)
        self._total = self._count = 0
        self._members: dict[str, Member] = {}
        self._read_as: dict[str, str] = {}

    def admit(self, member: Member) -> None:
        """Check one member as it comes."""
        if reason := name_fault(member.name):
            self.refusals.add(reason, member.name)
        self._check_unique(member)
        self._check_link(member)
        if member.kind is Kind.SPECIAL:
            self.refusals.add("is a device or pipe", member.name)
        self._members.setdefault(member.name, member)
        self._count += 1
        if self._count > self.limits.members:
            raise self.refusals.stop(f"holds more than {self.limits.members} members")
        if member.size < 0:
            raise self.refusals.stop("has a negative size", member.name)
        self._total += member.size
        self.check_expanded(self._total, member.name)

    def check_expanded(self, total: int, member: str = "") -> None:
        """Raise `ArchiveError` if so many bytes are too much for this archive."""
        if total > self.limits.total:
            raise self.refusals.stop(f"unpacks to more than {self.limits.total} bytes", member)
        if total > self.limits.ratio_from and total > self._compressed * self.limits.ratio:
            raise self.refusals.stop(f"unpacks to more than {self.limits.ratio} times its size", member)

    def finish(self) -> dict[str, Member]:
        """Check what can only be judged with all members at hand, and return them by name."""
        for member in self._members.values():
            self._check_parents(member)
        self.refusals.check()
        return self._members

    def _check_unique(self, member: Member) -> None:
        earlier = self._members.get(member.name)
        if earlier and not (earlier.kind is member.kind is Kind.FOLDER):
            self.refusals.add("stands in the archive twice", member.name)
        if not member.name.isascii():
            # two that nobody can tell apart, and one file where names are normalised
            same = self._read_as.setdefault(unicodedata.normalize("NFC", member.name), member.name)
            if same != member.name:
                self.refusals.add("has the same name as another member, in another of Unicode's forms", member.name)

    def _check_link(self, member: Member) -> None:
        if member.kind is Kind.SYMLINK and not _stays_inside(member.name, member.target):
            self.refusals.add(f"is a link to {member.target!a}, outside the archive", member.name)
        if member.kind is Kind.HARDLINK:
            linked = self._members.get(member.target)
            if linked is None or linked.kind is not Kind.FILE:
                self.refusals.add(f"is a hard link to {member.target!a}, which is no file before it", member.name)

    def _check_parents(self, member: Member) -> None:
        parent = posixpath.dirname(member.name)
        while parent:
            above = self._members.get(parent)
            if above and above.kind is not Kind.FOLDER:
                self.refusals.add(f"lies below {parent!a}, which is {above.kind}", member.name)
                return
            parent = posixpath.dirname(parent) if parent != "/" else ""


def name_fault(name: str) -> str:
    """Return why a member may not have this name, or "". Spaces and other printable characters are legal."""
    if any(len(part.encode(errors="replace")) > _LONGEST_COMPONENT for part in name.split("/")):
        return "has a name too long for a file system"
    return next((fault for fault, pattern in _FAULTS if pattern.search(name)), "")


def _stays_inside(name: str, target: str) -> bool:
    # '..' behind a name would be taken from where that name leads if it is a link itself, so it may only lead.
    parts = target.split("/")
    ups = 0
    while parts and parts[0] in {"..", "."}:
        ups += parts.pop(0) == ".."
    depth = name.count("/")
    # One level is the sdist's own folder, which a link must not leave either.
    return bool(target) and not target.startswith("/") and ".." not in parts and ups < max(depth, 1)

"""What single values of the release file may be. Each function takes what is written; mistakes are noted or raised."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from elpack.naming import dist_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.utils import NormalizedName

    from elpack.tables import Table

T = TypeVar("T")

MOST = (1 << 31) - 1

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+\Z")
_PACKAGER = re.compile(r"[^<>\n%]+ <[^<>\s%]+@[^<>\s%]+>\Z")
# git starts a program for what stands before "::", and takes a dash for an option, in front of a host as well
_GIT = re.compile(r"(?!-)(?!\w+::)(?![a-z+]+://(?:[^/]*@)?-)[!-~]+\Z")
_GIT_USER = re.compile(r"https?://[^/]*@|[a-z+]+://[^/@]*:[^/@]*@")
_SYSTEM_PLACE = re.compile(
    r"/[^/]*|/(boot|dev|home|media|mnt|proc|root|run|sys|tmp)/.*|/usr/lib/(rpm|dracut|kernel|modules|udev|security)/.*"
    r"|/etc/(passwd|shadow|group|gshadow|sub[ug]id|sudoers|fstab|hosts|nsswitch\.conf|login\.defs|ld\.so\..*|crontab|profile"
    r"|bashrc|environment|inittab|resolv\.conf|securetty|machine-id|os-release)-?"
    r"|/etc/(ld\.so\.conf|pam|sudoers|rpm|dnf|yum|yum\.repos|pki|ssh|security|selinux|polkit-1|udev|modprobe|modules-load)(\.d)?/.*"
)
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/|\Z)")


def each(table: Table, key: str, parse: Callable[[str], T]) -> Iterator[T]:
    """Yield the strings of an array parsed; what cannot be parsed is noted at its key."""
    for text in table.strings(key):
        try:
            yield parse(text)
        except ValueError as error:
            table.problem(key, str(error))


def positive(table: Table, key: str, default: int) -> int:
    """Return an integer of 1 or more, within 32 bits; another one is noted at its key."""
    before = len(table.problems)
    value = table.get(key, int, default)
    if value < 1 and len(table.problems) == before:
        table.problem(key, f"expected 1 or more, found {value}")
    if value > MOST:
        table.problem(key, f"expected at most {MOST}, found more")
    return value


def matching(pattern: re.Pattern[str], form: str) -> Callable[[str], str]:
    """Return a parser that lets through what has a form; the form is told in words."""

    def parse(text: str) -> str:
        if not pattern.match(text):
            raise ValueError(f"{text!r} is not of the form {form}")
        return text

    return parse


def packager(text: str) -> str:
    """Return who signs the changelog: a name and a mail address."""
    if not text.isprintable():
        raise ValueError(f"{text!r} holds control characters")
    return matching(_PACKAGER, "Name <mail@address>")(text)


def one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser that lets through one of the names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is not one of: {', '.join(names)}")
        return text

    return parse


def index_url(text: str) -> str:
    """Return an index's address with its last slash; plain http is for this very host only."""
    if (
        any(char in text for char in "@?#")
        or not text.isprintable()
        or not (text.startswith("https://") or _LOOPBACK.match(text))
    ):
        raise ValueError("an index is an https URL without credentials")
    return text.rstrip("/") + "/"


def relative_path(text: str) -> str:
    """Return a path below the release file."""
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or not _PLAIN_PATH.match(text):
        raise ValueError(f"{text!r} is not a plain relative path below the release file")
    return text


def absolute_path(text: str) -> str:
    """Return an absolute path that a spec can hold as it is."""
    path = PurePosixPath(text)
    spelt_plainly = str(path) == text and not text.startswith("//")
    if not path.is_absolute() or not spelt_plainly or ".." in path.parts or not _PLAIN_PATH.match(text):
        raise ValueError(f"{text!r} is not a plain absolute path")
    return text


def asset_place(text: str) -> str:
    """Return an absolute path where a release may put a file of its own."""
    path = absolute_path(text)
    if _SYSTEM_PLACE.fullmatch(path):
        raise ValueError(
            f"{text!r} belongs to the system: accounts, logins, rights, loader, package managers, or a root"
        )
    return path


def repository(text: str) -> str:
    """Return where git clones from: an address without a password, or a path."""
    matching(_GIT, "https://…, ssh://… or a path")(text)
    if _GIT_USER.match(text):
        raise ValueError("a repository's address holds no user with a password or token; git's credential helpers do")
    return text


def file_mode(text: str) -> str:
    """Return the decimal text of an octal file mode."""
    if not re.fullmatch(r"0[0-7]{3}", text):
        raise ValueError(f"{text!r} is not a file mode such as 0644")
    return str(int(text, 8))


def dist_names(table: Table, key: str) -> tuple[NormalizedName, ...]:
    """Return the dists that an array names, in its order; none may be there twice, in whatever spelling."""
    found: list[NormalizedName] = []
    for position, text in enumerate(table.strings(key)):
        try:
            name = dist_name(text)
        except ValueError as error:
            table.problem(f"{key}[{position}]", str(error))
            continue
        if name in found:
            table.problem(f"{key}[{position}]", f"{name} is there twice")
        found.append(name)
    return tuple(found)

"""What of an installed root goes into an image, in which layer, and with which bytes and times."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, NamedTuple

from elpack.errors import ImageError, Problem
from elpack.plan.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.images.rpmdb import InstalledPackage
    from elpack.plan.model import Plan

OS, THIRD_PARTY, FIRST_PARTY = "os", "third-party", "first-party"
LAYERS = (OS, THIRD_PARTY, FIRST_PARTY)
"""From the one that changes least."""
DATABASE = "var/lib/rpm"

_ALWAYS_OUT = re.compile(
    r"(?:etc/(?:(?:passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock|\.updated)|var/\.updated"
    r"|var/lib/systemd/(?:random-seed|catalog/database)|var/lib/(?:rpm|dnf|yum)/.+|var/lib/(?:dnf|yum))\Z"
)
"""Bookkeeping of who installed: locks, backups, histories; the rpm database is put in by itself."""
_UNOWNED_OUT = re.compile(
    r"(?:(?:var/cache|var/log|var/tmp|run|tmp|dev|proc|sys)/.+|etc/dnf(?:/.*)?|(?:.+/)?__pycache__(?:/.*)?)\Z"
)
"""Caches, logs, bytecode of an unknown time, and what dnf makes for itself, as far as no package owns it."""
_EMPTIED = frozenset({"etc/machine-id"})
_SHADOW = "etc/shadow"


def left_out(path: str, *, owned: bool) -> bool:
    """Tell whether something in a root does not go into an image. Paths are relative to the root."""
    return bool(_ALWAYS_OUT.match(path) or (not owned and _UNOWNED_OUT.match(path)))


def content(path: str, before: bytes, when: int) -> bytes:
    """Return what a file holds in the image; `when` stands for today. The same for nearly all."""
    if path in _EMPTIED:
        return b""
    return _shadow(before, when // 86400) if path == _SHADOW else before


def is_rewritten(path: str) -> bool:
    """Tell whether `content` may give something else than it gets."""
    return path in _EMPTIED or path == _SHADOW


def mode_of(mode: int) -> int:
    """Return the permission bits of a file: nobody becomes another user by running it."""
    return mode & 0o1777


def _shadow(text: bytes, day: int) -> bytes:
    """Return shadow without days later than `day`: those are of accounts that were made while installing."""
    lines = []
    for line in text.split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():  # noqa: PLR2004 - name, password, day of its last change
            fields[2] = str(min(int(fields[2]), day)).encode()
        lines.append(b":".join(fields))
    return b"\n".join(lines)


def layer_of(plan: Plan) -> dict[str, str]:
    """Return the layer of each of the plan's packages by name; what is not in there is of the target's own.

    The private prefix itself goes with the application: it bears the release's date.
    """
    found: dict[str, str] = {}
    for package in plan.published():
        layer = THIRD_PARTY if package.role is Role.THIRD_PARTY else FIRST_PARTY
        found |= dict.fromkeys((str(package.rpm), *(str(extra.rpm) for extra in package.extras)), layer)
    return found


class Owner(NamedTuple):
    """Who owns a path: the number of the layer, the package (NVRA), and the time that it says, in epoch seconds."""

    layer: int
    package: str
    time: int


def owners(packages: Iterable[InstalledPackage], layers: Mapping[str, str]) -> dict[str, Owner]:
    """Return of each path that a package owns by whom it counts: the lowest layer, there the first by name.

    Paths are absolute and as packages spell them.
    """
    found: dict[str, Owner] = {}
    for package in packages:
        number = LAYERS.index(layers.get(package.name, OS))
        for path, time in package.files.items():
            one = Owner(number, package.nvra, time)
            if path not in found or one < found[path]:
                found[path] = one
    return found


def accounts(files: Mapping[str, str], user: str, group: str, number: int, home: str, when: int) -> dict[str, str]:  # noqa: PLR0917
    """Return passwd, group, shadow and gshadow, as far as they are there, with the image's user and group.

    Raises `ImageError` when one of the names or the number is taken.
    """
    taken = [
        Problem(f"the target's own {name} has {line.split(':')[0]} with number {line.split(':')[2]}", f"/etc/{name}")
        for name, wanted in (("passwd", user), ("group", group))
        for line in files.get(name, "").splitlines()
        if line.count(":") > 2 and (line.split(":")[0] == wanted or line.split(":")[2] == str(number))  # noqa: PLR2004
    ]
    if taken:
        fix = "choose another number: user in [images], or another name in [service]"
        raise ImageError(*(Problem(one.what, one.where, fix=fix) for one in taken))
    day = when // 86400
    added = {
        "passwd": f"{user}:x:{number}:{number}:{user}:{home}:/sbin/nologin\n",
        "group": f"{group}:x:{number}:\n",
        "shadow": f"{user}:!:{day}::::::\n",
        "gshadow": f"{group}:!::\n",
    }
    needed = {"passwd", "group"} | (added.keys() & files.keys())
    return {name: _with_line_end(files.get(name, "")) + line for name, line in added.items() if name in needed}


def _with_line_end(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def seconds(day: dt.date) -> int:
    """Return a day's begin in UTC, in seconds since 1970: an image's SOURCE_DATE_EPOCH."""
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())

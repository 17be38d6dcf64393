"""Names and versions on both sides: PEP 503 and PEP 440 in, RPM names and versions out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from packaging.utils import InvalidName, NormalizedName, canonicalize_name
from packaging.version import Version

RpmName = NewType("RpmName", str)
"""A package name that rpm accepts and a spec may hold unquoted."""

RpmVersion = NewType("RpmVersion", str)
"""A version that rpm accepts, ordered by rpmvercmp as PEP 440 orders what it was made from."""

_RPM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_LEAST_COMPONENTS = 3


@dataclass(frozen=True, slots=True, order=False)
class Evr:
    """Epoch, version and release of an RPM."""

    epoch: int
    version: RpmVersion
    release: str

    def __str__(self) -> str:
        """Return ``[epoch:]version-release``, as a requirement spells it."""
        prefix = f"{self.epoch}:" if self.epoch else ""
        return f"{prefix}{self.version}-{self.release}"


def dist_name(text: str) -> NormalizedName:
    """Return the PEP 503 name. Raises ValueError when PEP 508 does not allow the text as a name."""
    try:
        return canonicalize_name(text, validate=True)
    except InvalidName as error:
        raise ValueError(f"{text!r} is not a valid name of a Python distribution") from error


def rpm_name(text: str) -> RpmName:
    """Return the text as an RPM name. Raises ValueError when rpm or a spec file would stumble over it."""
    if not _RPM_NAME.match(text):
        raise ValueError(f"{text!r} is not a valid RPM name")
    return RpmName(text)


def parse_version(text: str) -> Version:
    """Return the PEP 440 version. Raises ValueError with the text when it is none."""
    try:
        return Version(text)
    except ValueError as error:  # InvalidVersion, or a number of thousands of digits
        raise ValueError(f"{text!r} is not a PEP 440 version") from error


def rpm_version(version: Version) -> RpmVersion:
    """Map a PEP 440 version so that equal stays equal and rpmvercmp keeps PEP 440's order.

    The epoch is not part of the result; it becomes RPM's own. The release is padded or stripped of
    trailing zeros to at least three numbers, because 1.0 equals 1.0.0 in PEP 440 and not in rpm.
    ``~`` sorts before the end and ``^`` after it, so: ``1.0a1.dev2`` → ``1.0.0~a1~dev2``,
    ``1.0.dev2`` → ``1.0.0~~dev2``, ``1.0.post1`` → ``1.0.0^post1``, ``1.0+el.3`` → ``1.0.0^^el.3``.

    Raises ValueError for a local version with letters and digits in one segment (``+g1a2b``), which
    rpm would compare piece by piece and PEP 440 does not.
    """
    release = list(version.release)
    while len(release) > _LEAST_COMPONENTS and release[-1] == 0:
        release.pop()
    release += [0] * (_LEAST_COMPONENTS - len(release))
    text = ".".join(map(str, release))
    if version.pre is not None:
        text += "~" + "".join(map(str, version.pre))
    if version.post is not None:
        text += f"^post{version.post}"
    if version.dev is not None:
        alone = version.pre is None and version.post is None
        text += f"~~dev{version.dev}" if alone else f"~dev{version.dev}"
    if version.local is not None:
        text += "^^" + _rpm_local(version)
    return RpmVersion(text)


def _rpm_local(version: Version) -> str:
    segments = (version.local or "").split(".")
    if not all(segment.isdigit() or segment.isalpha() for segment in segments):
        raise ValueError(
            f"{version}: rpm cannot order local version '+{version.local}', because a segment mixes letters and digits"
        )
    return ".".join(segments)

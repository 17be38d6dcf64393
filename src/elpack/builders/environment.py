"""What every builder's sandbox looks like from inside: the same for all, so that the result is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "mockbuild"
GROUP = "mock"
UID = 1000
"""The unprivileged user that runs rpmbuild. The names are mock's: rpm writes the owners of sources into the SRPM."""

HOME = "/builddir"
TOPDIR = f"{HOME}/build"
"""Debug information and error texts hold paths below it, so it is mock's as well."""

HOSTNAME = "localhost"

ENVIRONMENT: Mapping[str, str] = {
    "HOME": HOME,
    "HOSTNAME": HOSTNAME,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "PYTHONHASHSEED": "0",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "TZ": "UTC",
}

MACROS: Mapping[str, str] = {
    "_topdir": TOPDIR,
    "_buildhost": HOSTNAME,
    # time comes from the changelog, which the plan took from the lock
    "source_date_epoch_from_changelog": "1",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
}

SOURCE_MTIME = 315_532_800
"""1980-01-01, the first day a zip archive can name: mtime of spec and sources, which the SRPM records."""


def rpmbuild(spec: str, arch: str) -> tuple[str, ...]:
    """Return the arguments that build source and binary RPMs of a spec; a noarch spec decides for itself."""
    defines = [word for name, value in MACROS.items() for word in ("--define", f"{name} {value}")]
    return ("rpmbuild", "-ba", "--target", arch, *defines, f"{TOPDIR}/SPECS/{spec}")

"""What every builder's sandbox looks like from inside: the same for all, so that the result is the same."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "mockbuild"
GROUP = "mock"
UID = 61000
"""The unprivileged user that runs rpmbuild. The names are mock's: rpm writes the owners of sources into the SRPM.

The number is one that no user has: users begin at 1000, and systemd leaves 60578 to 61183 alone. The kernel counts
processes, keys and watches by it, and whose files are a build's is told by it.
"""

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
    # time comes from the changelog, which the plan took from the lock; younger files, the staged sources
    # and the spec among them, are given its time in the RPM and in the SRPM
    "source_date_epoch_from_changelog": "1",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    # a definition in macros.d would lose against the vendor's; EL9's own level 19 takes 18 times the CPU for 12 % less
    "_binary_payload": "w9.zstdio",
}


def rpmbuild(spec: str, arch: str) -> tuple[str, ...]:
    """Return the arguments that build the SRPM, then the RPMs; a noarch spec decides for itself.

    Two steps as in mock: with -ba rpm would write the SRPM's digest into the headers of the RPMs.
    """
    command = shlex.join(_command(spec, arch))
    return ("sh", "-c", f"{command} -bs && exec {command} -bb")


def rpmbuild_dynamic(spec: str, arch: str, *options: str) -> tuple[str, ...]:
    """Return the arguments for a spec with %generate_buildrequires: the SRPM is to hold what that section said.

    One step as in mock: only the build itself knows it.
    """
    return (*_command(spec, arch), "-ba", *options)


def ask_requires(spec: str, arch: str, *options: str) -> tuple[str, ...]:
    """Return the arguments that run %generate_buildrequires and leave what it said in a .buildreqs.nosrc.rpm."""
    return (*_command(spec, arch), "-br", "--nodeps", *options)


def query_spec(spec: str, arch: str, form: str) -> tuple[str, ...]:
    """Return the arguments that make rpm say what packages a spec declares, source package first."""
    words = ("rpmspec", "--target", arch, *_defines(), "--query", "--queryformat", form, f"{TOPDIR}/SPECS/{spec}")
    source = (*words[:-4], "--srpm", *words[-4:])
    return ("sh", "-c", f"{shlex.join(source)} && exec {shlex.join(words)}")


def _command(spec: str, arch: str) -> tuple[str, ...]:
    return ("rpmbuild", "--target", arch, *_defines(), f"{TOPDIR}/SPECS/{spec}")


def _defines() -> list[str]:
    return [word for name, value in MACROS.items() for word in ("--define", f"{name} {value}")]

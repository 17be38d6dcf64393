"""PyPy in the place of CPython: the target of flavour `pypy` of an image, and whether a lock can be had there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.errors import Problem
from elpack.images.bases import base_for, base_name, definition, known_bases
from elpack.images.crates import PROGRAMS
from elpack.model import SdistFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.utils import NormalizedName

    from elpack.model import SelectedDist, Target, WheelFacts
    from elpack.plan.model import Package
    from elpack.plan.policy import Choice

DEBIAN = "trixie"
"""The release of Debian whose PyPy everything is unpacked and compiled by, whichever image it goes into."""
BUILD_PACKAGES = (
    *("bash", "coreutils", "diffutils", "findutils", "gawk", "grep", "gzip", "libc-bin", "sed", "tar"),
    *("g++", "gcc", "libc6-dev", "libffi-dev", "make", "patch", "pkg-config", "pypy3-dev"),
)
"""Debian's packages where something is compiled."""

_RUST = re.compile(r"(?:maturin|setuptools[-_.]+rust)(?![A-Za-z0-9._-])", re.IGNORECASE)
_OTHER = "lock it in a version with a wheel for PyPy {pypy}, or have what requires it do without where PyPy runs"


def pypy_target(target: Target, bases: Mapping[str, str]) -> Target:
    """Return a target with PyPy in the place of CPython; its base image decides which PyPy that is.

    Its glibc stays that of the target: what is compiled and chosen runs on the base. bases: see `base_for`. Raises
    `ImageError` where there is no such base.
    """
    wanted = replace(target, pypy="7.3", python="3.11")
    name = base_name(wanted, bases)
    if name in known_bases() and definition(name).pypy:
        wanted = replace(wanted, pypy=definition(name).pypy, python=definition(name).version)
    base = base_for(wanted, bases)
    return replace(wanted, interpreter=f"/usr/bin/pypy{base.version}", python_rpm="", devel_rpm="")


def needs_rust(sdist: SdistFacts) -> bool:
    """Tell whether building an sdist compiles Rust: its crates would come from the network, unpinned by any lock."""
    return any(map(_RUST.match, sdist.build_requires))


def programs_of(package: Package, *, rust: bool) -> tuple[str, ...]:
    """Return Debian's packages that building one package takes beside `BUILD_PACKAGES`. rust: its Rust is compiled."""
    cmake = any(one.requirement == "cmake" for one in package.build_requires)
    return (*(("cmake",) if cmake else ()), *(PROGRAMS if rust else ()))


def cannot_be_had(
    dists: Mapping[NormalizedName, SelectedDist],
    chosen: Mapping[NormalizedName, Choice],
    facts: Mapping[str, WheelFacts | SdistFacts],
    target: Target,
    rust: Collection[NormalizedName] = (),
) -> Iterator[Problem]:
    """Yield each dist of a closure that PyPy cannot get: without a wheel for it, and without an sdist that compiles.

    Code in Rust needs crates that no lock of ours pins, so that it comes from wheels only. rust: dists of which the
    release says that Debian's crates do.
    """
    for name, choice in sorted(chosen.items()):
        found = facts.get(choice.file.sha256) if choice.file else None
        why = choice.problem
        if isinstance(found, SdistFacts) and needs_rust(found) and name not in rust:
            why = "its sdist compiles Rust, whose crates no lock pins"
        if why:
            dist = dists[name]
            wheels = [wheel.filename for wheel in dist.wheels if "-pp" in wheel.filename and "linux" in wheel.filename]
            what = f"{name} {dist.version} cannot be had for {target}: {choice.reason}, and {why}"
            others = f"wheels for PyPy in the lock: {', '.join(sorted(wheels))}" if wheels else ""
            yield Problem(what, f"uv.lock:{dist.line}", others, _OTHER.format(pypy=target.pypy))

"""Debian's crates, which compile what is Rust for PyPy: which they are, and how a source is made to take them."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from elpack.model import RemoteFile, Sha256
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = "usr/share/cargo/registry"
"""Where Debian's packages of crates have their sources."""
PROGRAMS = ("cargo", "rustc")
"""What compiles them: packages of the release of Debian that PyPy comes from."""
MIRROR = "https://deb.debian.org/debian"


@cache
def crates(mirror: str = MIRROR) -> tuple[RemoteFile, ...]:
    """Return the packages of all crates there are, pinned by their digests, as files of a mirror of Debian."""
    text = resources.files("elpack.data").joinpath("crates.toml").read_text()
    return tuple(
        RemoteFile(
            deb["path"].rpartition("/")[2], f"{mirror.rstrip('/')}/{deb['path']}", Sha256(deb["sha256"]), deb["size"]
        )
        for deb in parse_toml("crates.toml", text).values["deb"]
    )


def cargo_config(folder: str) -> str:
    """Return the configuration of a cargo that knows no crates but those in a folder, and no network."""
    return (
        f'[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "{folder}"\n[net]\noffline = true\n'
    )


def with_versions(text: str, versions: Mapping[str, str]) -> str:
    """Return a Cargo.toml that asks for these versions of crates, in the place of those that it asks for.

    Raises `ValueError` with the names of crates for which it asks nowhere, or in a way that is not understood.
    """
    unknown = []
    for name, version in sorted(versions.items()):
        asked = rf'^({re.escape(name)}[ \t]*=[ \t]*(?:\{{[^\n]*?\bversion[ \t]*=[ \t]*)?)"[^"\n]*"'
        text, count = re.subn(asked, rf'\g<1>"{version}"', text, flags=re.MULTILINE)
        if not count:
            unknown.append(name)
    if unknown:
        raise ValueError(f"its Cargo.toml asks for no version of {', '.join(unknown)}")
    return text

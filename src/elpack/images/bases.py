"""Base images of flavour `uv`: what is known of each, what the lock of digests says, and whether one fits a release."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.model import Target

LOCK = "containers/bases.lock.toml"
"""Where a project keeps the digests of its bases, relative to the release file."""


@dataclass(frozen=True, slots=True)
class BaseDefinition:
    """What is known of a base image before anybody looked at it (data/bases/<name>.toml).

    reference: ``host/path:tag`` of what is pulled, or of what a Containerfile below containers/bases/ starts from;
    ``localhost/elpack/...`` for one that is made here. python: path of its interpreter; version: that interpreter's
    minor version. glibc: the newest symbols that it has. packages: what is installed with the distribution's own tool
    on top. targets: those whose base it is unless the release says otherwise. standin: made of the stand-in's packages.
    """

    name: str
    reference: str
    python: str
    version: str
    glibc: tuple[int, int]
    arches: tuple[str, ...]
    targets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    standin: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class PinnedBase:
    """The digests of a base: of its index, and of each platform's manifest by architecture (``x86_64``)."""

    reference: str
    index: str
    platforms: Mapping[str, str] = field(default_factory=dict)


@cache
def known_bases() -> tuple[str, ...]:
    """Return the names of the definitions shipped with elpack, sorted."""
    files = resources.files("elpack.data").joinpath("bases").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def base_for(target: Target, bases: Mapping[str, str]) -> BaseDefinition:
    """Return the base of a target: what the release names ([images.bases]), else the default of that target.

    Raises `ImageError` with all that is wrong: unknown name, another Python, an architecture that it does not have, an
    older glibc than the target's.
    """
    raise NotImplementedError


def read_pins(text: str, where: str = LOCK) -> Mapping[str, PinnedBase]:
    """Return what bases.lock.toml says, by the base's name. Raises `ImageError` with all mistakes."""
    raise NotImplementedError


def pins_text(pins: Mapping[str, PinnedBase]) -> str:
    """Return bases.lock.toml."""
    raise NotImplementedError

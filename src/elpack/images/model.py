"""What a release says of its images, and what one image is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.images.smoke import ImageSmoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.model import Sha256
    from elpack.smoke import Smoke


class Flavour(StrEnum):
    """How the tree of an image came to be."""

    UV = "uv"
    """uv unpacked what the application's own lock froze, upon a base image that has Python."""
    RPM = "rpm"
    """dnf installed the signed RPMs into an empty root."""
    PYPY = "pypy"
    """As `UV`, upon a base image with PyPy: what the lock selects there, and compiles for it."""


FLAVOURS = (Flavour.UV, Flavour.RPM)
"""The flavours of a release that names none."""


class Mode(StrEnum):
    """Where uv works for flavour `uv`; the tree is the same."""

    HOST = "host"
    """Beside the engine: the Containerfile only copies, so that no other architecture need be emulated."""
    CONTAINER = "container"
    """In the first stage of the Containerfile."""


@dataclass(frozen=True, slots=True)
class BuildVariable:
    """An environment variable of the build of one dist, and what it is for."""

    dist: NormalizedName
    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class RustDist:
    """A dist whose Rust is compiled from Debian's crates, and why. versions: what it asks for otherwise, by crate."""

    dist: NormalizedName
    versions: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Pypy:
    """What is otherwise with flavour `pypy`.

    expect: what steps of the smoke test say there, by their names. build_env: of what is compiled for it. rust: what
    is compiled from Debian's crates. run: the commands of steps that are others there, by their names.
    """

    expect: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    build_env: tuple[BuildVariable, ...] = ()
    rust: tuple[RustDist, ...] = ()
    run: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def environment(self, dist: NormalizedName) -> dict[str, str]:
        """Return the variables of one dist's build."""
        return {one.name: one.value for one in self.build_env if one.dist == dist}

    def rust_dist(self, dist: NormalizedName) -> RustDist | None:
        """Return how one dist's Rust is compiled; None where it is not said."""
        return next((one for one in self.rust if one.dist == dist), None)

    def rust_dists(self) -> frozenset[NormalizedName]:
        """Return the dists whose Rust is compiled."""
        return frozenset(one.dist for one in self.rust)


@dataclass(frozen=True, slots=True)
class Images:
    """What the release file says of images.

    repository: where they are pushed, ``host[:port]/path``, without tag; empty where they are not. command: what
    follows the entry point; health: an argument vector that ends with 0 while all is well, and in which ``{python}``
    and ``{prefix}`` are replaced. user: number of the user and of its group. ports: TCP ports that are listened on.
    data: where the volume is mounted. Times are seconds. bases: a base image's name by target. key: path of the
    private key that signs, relative to the release file or below ``~/``; empty for snapshots by a throwaway key.
    mounts: by place in the image, the file beside the release that stands there when it is tried, and that a user's own
    file replaces.
    """

    repository: str = ""
    flavours: tuple[Flavour, ...] = FLAVOURS
    mode: Mode = Mode.HOST
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    health_interval: int = 30
    start_timeout: int = 90
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 30
    user: int = 1000
    ports: tuple[int, ...] = ()
    data: str = "/data"
    environment: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    mounts: Mapping[str, str] = field(default_factory=dict)
    smoke: ImageSmoke = field(default_factory=ImageSmoke)
    pypy: Pypy = field(default_factory=Pypy)

    def for_pypy(self) -> bool:
        """Tell whether PyPy is spoken of: flavour `pypy` is made, at least when it is asked for."""
        return Flavour.PYPY in self.flavours or self.pypy != Pypy()

    def mistakes(self, smoke: Smoke) -> Iterator[tuple[str, str]]:
        """Yield what does not fit the release's own smoke test: the key and a sentence."""
        for key, what in self.smoke.mistakes(smoke):
            yield f"smoke.{key}", what
        for key, by_name in (("expect", self.pypy.expect), ("run", self.pypy.run)):
            for name in sorted(by_name.keys() - {*self.smoke.steps, *self.smoke.outside}):
                yield f"pypy.{key}.{name}", "images.smoke takes no step of this name"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as an uncompressed tar with the same bytes for the same content.

    name: what it holds, such as ``third-party``; size in bytes. Layers are listed from the one that changes least.
    """

    name: str
    tar: Path
    sha256: Sha256
    size: int

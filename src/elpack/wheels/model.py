"""Wheels as values: for whom they are built, by what rules, and what becomes of each place of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.model import ARCHES, marker_environment, pypy_abi

if TYPE_CHECKING:
    from packaging.utils import NormalizedName


class Implementation(StrEnum):
    """Who made an interpreter; environment variables are often for those of one maker."""

    CPYTHON = "cpython"
    PYPY = "pypy"


@dataclass(frozen=True, slots=True, order=True)
class Interpreter:
    """An interpreter that wheels are built for. `tag` is cibuildwheel's, such as cp311 or pp311.

    release: PyPy's own version, "" for CPython. Wheels with machine code for one are for no other.
    """

    tag: str
    version: str
    implementation: Implementation
    release: str = ""

    def __str__(self) -> str:
        """Return it as people say it: CPython 3.12, PyPy 8.0 (3.11)."""
        return f"PyPy {self.release} ({self.version})" if self.release else f"CPython {self.version}"

    @property
    def abi(self) -> str:
        """Return the ABI that its own wheels name, such as cp312 or pypy311_pp80."""
        return pypy_abi(self.version, self.release) if self.release else self.tag

    def marker_environment(self, arch: str) -> dict[str, str]:
        """Return its PEP 508 environment on Linux."""
        return marker_environment(self.version, arch, self.release)


INTERPRETERS = {
    one.tag: one
    for one in (
        Interpreter("cp311", "3.11", Implementation.CPYTHON),
        Interpreter("cp312", "3.12", Implementation.CPYTHON),
        Interpreter("cp313", "3.13", Implementation.CPYTHON),
        Interpreter("cp314", "3.14", Implementation.CPYTHON),
        Interpreter("pp311", "3.11", Implementation.PYPY, "8.0"),
    )
}
"""Every interpreter that a release file may name; PyPy's release is the one that cibuildwheel builds with."""

OLDER = (Interpreter("pp311", "3.11", Implementation.PYPY, "7.3"),)
"""What most projects have wheels for and nothing is built for here: the PyPy that images of flavour pypy run."""


def releases_of(tag: str) -> tuple[Interpreter, ...]:
    """Return every known interpreter of a tag: of PyPy there are several, and each has wheels of its own."""
    return tuple(one for one in (*OLDER, *INTERPRETERS.values()) if one.tag == tag)


POLICIES = {"manylinux_2_28": (2, 28), "manylinux_2_34": (2, 34)}
"""The platforms that wheels may be built for, each with the newest symbols of glibc that they may use."""

MUSLLINUX = "musllinux_1_2"
"""The platform of systems with musl instead of glibc, which are asked for by `musllinux`."""


def is_known(interpreter: Interpreter, platform: str) -> bool:
    """Tell whether an interpreter is there at all for a platform."""
    return not (platform == MUSLLINUX and interpreter.implementation is Implementation.PYPY)


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of builds. Empty packages or implementations mean all. `reason` says what it is for."""

    name: str
    value: str
    reason: str
    packages: frozenset[NormalizedName] = frozenset()
    implementations: frozenset[Implementation] = frozenset()

    def holds(self, package: NormalizedName, implementation: Implementation) -> bool:
        """Tell whether it is set where a package is built for, or by, an interpreter of that maker."""
        return (not self.packages or package in self.packages) and (
            not self.implementations or implementation in self.implementations
        )


@dataclass(frozen=True, slots=True)
class Wheels:
    """The [wheels] table: which packages get wheels, for whom.

    packages: empty for all first-party packages; those without machine code get one wheel for everybody. policies:
    the first is the one that is published.
    """

    packages: tuple[NormalizedName, ...] = ()
    interpreters: tuple[Interpreter, ...] = tuple(INTERPRETERS.values())
    arches: tuple[str, ...] = ARCHES
    policies: tuple[str, ...] = tuple(POLICIES)
    musllinux: bool = False
    environment: tuple[Variable, ...] = ()

    @property
    def platforms(self) -> tuple[str, ...]:
        """Return all platforms that wheels are built for: the policies, and musllinux where it is asked for."""
        return (*self.policies, *((MUSLLINUX,) if self.musllinux else ()))

    def variables(self, package: NormalizedName, implementation: Implementation) -> dict[str, str]:
        """Return the environment in which a package is built by an interpreter of that maker."""
        return {one.name: one.value for one in self.environment if one.holds(package, implementation)}


class How(StrEnum):
    """How a wheel of the matrix is built."""

    IMAGE = "manylinux image"
    STANDIN = "stand-in image"
    PURE = "pure"
    """One wheel for everybody."""
    NOT = "not built"

    @property
    def is_built(self) -> bool:
        """Tell whether there is a way to build it."""
        return self is not How.NOT


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the matrix. arch, platform and interpreter are empty for a pure package. `reason`: why so."""

    package: NormalizedName
    interpreter: str
    arch: str
    platform: str
    how: How
    reason: str = ""

    @property
    def identifier(self) -> str:
        """Return what cibuildwheel calls it, such as cp311-manylinux_x86_64."""
        return f"{self.interpreter}-{self.platform.partition('_')[0]}_{self.arch}"

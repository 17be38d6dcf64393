"""The plan's own values: packages, what they are made of, and what they wait for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    import datetime as dt

    from packaging.utils import NormalizedName

    from elpack.model import Policy, Sha256, Target
    from elpack.naming import Evr, RpmName

NodeId = NewType("NodeId", str)
"""``stack/idna``, ``buildroot/hatchling``, ``runtime``, ``macros``: unique within a plan."""


class Role(StrEnum):
    """What a package is for."""

    MACROS = "macros"
    """elpack's own rpm macros, in build roots only."""
    BUILDROOT = "buildroot"
    """A build requirement, in build roots only."""
    RUNTIME = "runtime"
    """The private prefix itself: pyvenv.cfg and the link to the interpreter."""
    THIRD_PARTY = "third-party"
    FIRST_PARTY = "first-party"
    APPLICATION = "application"

    @property
    def published(self) -> bool:
        """Tell whether the package belongs into the repository that customers see."""
        return self not in (Role.MACROS, Role.BUILDROOT)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that the source RPM carries. `url` is empty for files of the release's or of elpack's own."""

    filename: str
    sha256: Sha256
    url: str = ""


@dataclass(frozen=True, slots=True)
class BuildRequire:
    """A line of BuildRequires and why it is there."""

    requirement: str
    reason: str


@dataclass(frozen=True, slots=True)
class Licence:
    """An SPDX expression and how it was found."""

    expression: str
    reason: str


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file of the release's own that the application's RPM installs, and the source that holds it."""

    source: str
    destination: str
    mode: int
    config: bool
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Package:
    """One source package and the one RPM that comes of it. Every decision about it is in here, with its reason."""

    node: NodeId
    role: Role
    dist: NormalizedName
    upstream_version: str
    policy: Policy
    reason: str
    rpm: RpmName
    evr: Evr
    noarch: bool
    summary: str
    licence: Licence
    url: str
    date: dt.date
    prefix: str
    template: str
    sources: tuple[Source, ...] = ()
    requires: tuple[str, ...] = ()
    """RPMs of the target, by name, that the finished RPM requires."""
    provides: tuple[str, ...] = ()
    build_requires: tuple[BuildRequire, ...] = ()
    waits_for: tuple[NodeId, ...] = ()
    """Packages that its build root holds beside `build_requires`, in the plan's versions; direct ones."""
    needs: tuple[NodeId, ...] = ()
    """Packages that the finished RPM requires by exact version and release; direct ones."""
    folder: str = ""
    native: str = ""
    modules: tuple[str, ...] = ()
    licence_files: tuple[str, ...] = ()
    vendored_sonames: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep_source: tuple[str, ...] = ()
    build_env: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Overrides and other peculiarities with their reasons, printed as comments in the spec."""
    expose: tuple[str, ...] = ()
    installed: tuple[InstalledFile, ...] = ()
    service: str = ""
    """Name of the systemd unit that the package brings, without its suffix."""
    generated: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sources that elpack writes itself: file name and text."""

    @property
    def nvr(self) -> str:
        """Return name-version-release, which also names the source RPM."""
        return f"{self.rpm}-{self.evr.version}-{self.evr.release}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be done for one release and one target; carried out, never changed."""

    release: str
    version: str
    target: Target
    packages: tuple[Package, ...]
    root: NodeId
    notices: tuple[str, ...] = ()

    def by_node(self) -> dict[NodeId, Package]:
        """Return the packages by node."""
        return {package.node: package for package in self.packages}

    def published(self) -> tuple[Package, ...]:
        """Return what goes into the repository that customers see."""
        return tuple(package for package in self.packages if package.role.published)

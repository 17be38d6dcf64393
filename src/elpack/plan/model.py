"""The plan's own values: packages, what they are made of, and what they wait for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from elpack.model import Layout

if TYPE_CHECKING:
    import datetime as dt

    from packaging.utils import NormalizedName

    from elpack.changelog import Entry
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
    BUNDLE = "bundle"
    """All of the private prefix in one."""

    @property
    def at_run_time(self) -> bool:
        """Tell whether the package is for hosts, and not for build roots only."""
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
class Extra:
    """A metapackage that draws in what one extra of a dist asks for (``python3.12-txaio+twisted``).

    provides: the extra's normalised name, where rpm's generator offers another spelling.
    """

    name: NormalizedName
    rpm: RpmName
    requires: tuple[str, ...]
    needs: tuple[NodeId, ...]
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """One source package, and the RPM that comes of it beside `extras` and debug packages.

    Every decision about it is in here, with its reason.
    """

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
    """What the finished RPM requires, as rpm spells it; of packages of this plan only where it is not `pinned`."""
    provides: tuple[str, ...] = ()
    bundled: tuple[str, ...] = ()
    """What is vendored in it, as Provides spell it: ``bundled(lmdb) = 0.9.33``."""
    conflicts: tuple[str, ...] = ()
    swaps_with: str = ""
    """The package that brings the same service in another layout."""
    build_requires: tuple[BuildRequire, ...] = ()
    waits_for: tuple[NodeId, ...] = ()
    """Packages that its build root holds beside `build_requires`, in the plan's versions; direct ones."""
    needs: tuple[NodeId, ...] = ()
    """Packages of this plan that the finished RPM requires; direct ones."""
    pinned: bool = True
    """Requires what it needs by exact version and release."""
    extras: tuple[Extra, ...] = ()
    script_suffix: str = ""
    """What follows the names of its commands, so that they leave those of the default Python alone (EPEL)."""
    plain: bool = False
    """Holds modules, declared scripts and metadata and nothing else, so that the spec can name it all."""
    top_level: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    """The modules and commands of a plain package."""
    folder: str = ""
    native: str = ""
    modules: tuple[str, ...] = ()
    licence_files: tuple[str, ...] = ()
    licence_in_metadata: bool = False
    """The dist-info brings the licence's text, so that it need not come from the source."""
    readme_files: tuple[str, ...] = ()
    vendored_sonames: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep_source: tuple[str, ...] = ()
    build_env: tuple[str, ...] = ()
    must_have: tuple[tuple[str, int], ...] = ()
    """Patterns of files below site-packages without which it is broken, and how many there are at least."""
    not_hardened: tuple[str, ...] = ()
    """Paths below the prefix, as patterns, of machine code that need not be hardened as the target asks."""
    cffi_only: bool = False
    """Its extension modules may go through CFFI only."""
    notes: tuple[str, ...] = ()
    """Overrides and other peculiarities with their reasons, printed as comments in the spec."""
    changelog: tuple[Entry, ...] = ()
    """Newest first; without one, the spec has the entry of `date` alone."""
    expose: tuple[str, ...] = ()
    installed: tuple[InstalledFile, ...] = ()
    service: str = ""
    """Name of the systemd unit that the package brings, without its suffix."""
    generated: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sources that elpack writes itself: file name and text."""

    @property
    def private(self) -> bool:
        """Tell whether it goes into the private prefix."""
        return self.prefix != "/usr"

    @property
    def nvr(self) -> str:
        """Return name-version-release, which also names the source RPM."""
        return f"{self.rpm}-{self.evr.version}-{self.evr.release}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be done for one release and one target; carried out, never changed.

    roots: the packages that a customer asks for; all others come because something requires them. install: what he
    types after ``dnf install``.
    """

    release: str
    version: str
    target: Target
    layout: Layout
    packages: tuple[Package, ...]
    roots: tuple[NodeId, ...]
    install: tuple[RpmName, ...]
    notices: tuple[str, ...] = ()

    def by_node(self) -> dict[NodeId, Package]:
        """Return the packages by node."""
        return {package.node: package for package in self.packages}

    def versions(self) -> dict[str, str]:
        """Return the versions of all dists that hosts get, by name."""
        dists = (one for one in self.packages if one.role.at_run_time and one.role is not Role.RUNTIME)
        return {str(package.dist): package.upstream_version for package in dists}

    def places(self) -> dict[str, str]:
        """Return where smoke steps find things in an installed root: the prefix, and the Python that runs there."""
        prefix = next((one.prefix for one in self.packages if one.role.at_run_time), "/usr")
        return {"prefix": prefix, "python": f"{prefix}/bin/python" if prefix != "/usr" else self.target.interpreter}

    def has_service(self) -> bool:
        """Tell whether one of the packages brings a systemd unit."""
        return any(package.service for package in self.packages)

    def published(self) -> tuple[Package, ...]:
        """Return what goes into the repository that customers see."""
        if self.layout is Layout.BUNDLE:
            return tuple(package for package in self.packages if package.role is Role.BUNDLE)
        return tuple(package for package in self.packages if package.role.at_run_time)

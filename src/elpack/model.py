"""The values everything is decided from: what a lock froze, what an archive holds, what a target is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName
    from packaging.version import Version

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""


ARCHES = ("x86_64", "aarch64")
"""Every architecture that a target may have, as rpm and Linux spell them."""

EVERY_ARCH = "all"
"""What asks for each architecture of a release."""


class Policy(StrEnum):
    """How a dist becomes an RPM."""

    SDIST = "sdist"
    WHEEL = "wheel"


class Layout(StrEnum):
    """Where files go and how RPMs are named (docs/reference/names-and-versions.md)."""

    STACK = "stack"
    """One RPM per dist in a private prefix."""
    BUNDLE = "bundle"
    """The same tree in one RPM."""
    SYSTEM = "system"
    """Fedora's and EPEL's way: in the interpreter's own site-packages, for everybody."""


class Way(StrEnum):
    """How code of an architecture is compiled."""

    NATIVE = "native"
    """On a processor that runs it: this machine's, or a worker's."""
    EMULATED = "emulated"
    """In a root of that architecture, whose programs an emulator runs."""
    CROSS = "cross"
    """By a compiler of this machine's architecture, beside a root of the other one."""


class SourceKind(StrEnum):
    """Where a lock or a release file says that a dist comes from."""

    REGISTRY = "registry"
    EDITABLE = "editable"
    PATH = "path"
    GIT = "git"
    URL = "url"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that a lock pins. `size` in bytes and `uploaded` in epoch seconds are None when the lock does not say."""

    filename: str
    url: str
    sha256: Sha256
    size: int | None = None
    uploaded: int | None = None


@dataclass(frozen=True, slots=True)
class LockEdge:
    """One requirement in a lock: of which dist, with which extras, and when.

    `version` and `source_value` are set where the lock holds the name more than once.
    """

    name: NormalizedName
    version: Version | None = None
    extras: frozenset[NormalizedName] = frozenset()
    marker: Marker | None = None
    source_value: str | None = None


@dataclass(frozen=True, slots=True)
class LockedDist:
    """One entry of a lock, for all platforms. `line` is its line in the lock file, for messages.

    declared: the project's own requirements (PEP 508) that the lock was made from, None where it does not say;
    extras: every extra that the project provides. Registry entries have neither.
    """

    name: NormalizedName
    version: Version | None
    source: SourceKind
    source_value: str
    line: int
    sdist: RemoteFile | None = None
    wheels: tuple[RemoteFile, ...] = ()
    requires: tuple[LockEdge, ...] = ()
    optional: Mapping[NormalizedName, tuple[LockEdge, ...]] = field(default_factory=dict)
    resolution_markers: tuple[Marker, ...] = ()
    declared: tuple[str, ...] | None = None
    extras: frozenset[NormalizedName] = frozenset()


@dataclass(frozen=True, slots=True)
class ConflictItem:
    """An extra, a group or a whole project that its project declares to conflict with others."""

    package: NormalizedName
    extra: str = ""
    group: str = ""

    def __str__(self) -> str:
        if self.extra:
            return f"{self.package}[{self.extra}]"
        return f"group {self.group} of {self.package}" if self.group else str(self.package)


@dataclass(frozen=True, slots=True)
class UvLock:
    """A uv.lock as it stands in the file, nothing selected yet.

    supported: markers of the environments it was made for, empty for all. conflicts: sets of which at most one
    item may be active.
    """

    path: str
    version: int
    revision: int
    requires_python: SpecifierSet
    dists: tuple[LockedDist, ...]
    supported: tuple[Marker, ...] = ()
    conflicts: tuple[frozenset[ConflictItem], ...] = ()
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SelectedDist:
    """One dist of the closure for one target: no markers, extras or forks are left.

    `requires` are the direct requirements that hold on the target, by name, sorted.
    """

    name: NormalizedName
    version: Version
    extras: frozenset[NormalizedName]
    requires: tuple[NormalizedName, ...]
    sdist: RemoteFile | None
    wheels: tuple[RemoteFile, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The runtime closure of one application for one target; `root` is the application itself."""

    root: NormalizedName
    dists: tuple[SelectedDist, ...]

    def by_name(self) -> dict[NormalizedName, SelectedDist]:
        """Return the dists by name; a selection holds each name once."""
        return {dist.name: dist for dist in self.dists}


@dataclass(frozen=True, slots=True)
class TargetRepository:
    """One of an EL version's own repositories: base URL without $basearch left in it, and the URL of its key."""

    id: str
    url: str
    gpgkey: str


def marker_environment(python: str, arch: str, pypy: str = "") -> dict[str, str]:
    """Return the PEP 508 environment of an interpreter on Linux. The patch level is that of the series' end.

    python: its version, such as 3.11; pypy: PyPy's own version, such as 7.3, empty for CPython.
    """
    return {
        "implementation_name": "pypy" if pypy else "cpython",
        "implementation_version": f"{pypy or python}.99",
        "os_name": "posix",
        "platform_machine": arch,
        "platform_python_implementation": "PyPy" if pypy else "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.99",
        "python_version": python,
        "sys_platform": "linux",
    }


def pypy_abi(python: str, pypy: str) -> str:
    """Return the ABI that wheels for a PyPy name, such as pypy311_pp73; for arguments see `marker_environment`."""
    return f"pypy{python.replace('.', '')}_pp{pypy.replace('.', '')}"


@dataclass(frozen=True, slots=True)
class Target:
    """EL version, Python version and architecture, with the facts of that EL version (targets/*.toml)."""

    name: str
    el: int
    python: str
    arch: str
    dist_tag: str
    glibc: tuple[int, int]
    interpreter: str
    """Path of the Python interpreter on the host, such as /usr/bin/python3.12."""
    python_rpm: str
    """RPM that owns the interpreter."""
    devel_rpm: str
    """RPM with the interpreter's headers."""
    standin: bool
    title: str
    """What reports call the target; the stand-in says that it is one."""
    buildroot: tuple[str, ...]
    """RPMs of every build root beside what a spec asks for."""
    root: tuple[str, ...]
    """RPMs of the clean root into which packages are installed and smoke-tested."""
    repositories: tuple[TargetRepository, ...] = ()
    """The target's own repositories; none for the stand-in, whose base is made here."""
    pypy: str = ""
    """The version of PyPy that takes the place of CPython in an image, such as 7.3; empty for CPython."""

    def __str__(self) -> str:
        return f"{self.name} / {'PyPy ' if self.pypy else ''}{self.python} / {self.arch}"

    @property
    def python_nodot(self) -> str:
        """Return the version without a dot, as wheel tags spell it: 311."""
        return self.python.replace(".", "")

    @property
    def python_name(self) -> str:
        """Return what the interpreter, and its folder in a virtual environment, are called: python3.12, pypy3.11."""
        return f"{'pypy' if self.pypy else 'python'}{self.python}"

    @property
    def interpreter_name(self) -> str:
        """Return what people call the interpreter: CPython 3.12, PyPy 7.3 (Python 3.11)."""
        return f"PyPy {self.pypy} (Python {self.python})" if self.pypy else f"CPython {self.python}"

    def marker_environment(self) -> dict[str, str]:
        """Return the PEP 508 environment of this target's Python."""
        return marker_environment(self.python, self.arch, self.pypy)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file inside a wheel: its path with forward slashes, size in bytes, and permission bits (0 when not said)."""

    path: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A console or gui script: the command's name and the ``module:attribute`` behind it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """What the plan uses of core metadata (PEP 621, 639, 566), still untrusted text.

    licences_read: what each licence file beside it was recognised as, as SPDX; "" for an unknown text.
    """

    name: str
    version: str
    summary: str = ""
    licence_expression: str = ""
    licence_text: str = ""
    classifiers: tuple[str, ...] = ()
    home_page: str = ""
    requires_python: str = ""
    licence_files: tuple[str, ...] = ()
    requires_dist: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    licences_read: tuple[str, ...] = ()
    author: str = ""


class Trace(StrEnum):
    """What tells that a wheel carries somebody else's work."""

    SBOM = "sbom"
    """The wheel's own list (PEP 770)."""
    LIBRARY = "library"
    """A file where auditwheel puts shared libraries."""
    METADATA = "metadata"
    """The metadata of a dist inside of the dist."""
    CODE = "code"
    """A text in a file that names it with its version."""
    REVIEWED = "reviewed"
    """A text in a file that names it; the version, if there is one, was read in the dist's source."""
    UNREAD = "unread"
    """An SBOM in the wheel that could not be read: what it lists is not known."""


@dataclass(frozen=True, slots=True, order=True)
class Carried:
    """Somebody else's work inside a wheel.

    `purl` is without version, and `version` empty where nothing tells it. `file` is the path in the wheel that told,
    `text` what was found in it, `sha256` its digest. `source` tells where a human read the version.
    """

    name: str
    version: str
    purl: str
    licence: str
    trace: Trace
    file: str
    text: str = ""
    sha256: Sha256 = Sha256("")
    source: str = ""


@dataclass(frozen=True, slots=True)
class MachineCode:
    """A linked ELF file inside a wheel, and the machine that it is for, such as x86_64."""

    path: str
    machine: str


@dataclass(frozen=True, slots=True)
class WheelFacts:
    """What one wheel holds, read without unpacking it. `carried` is what it brings of others, `code` what runs."""

    filename: str
    sha256: Sha256
    metadata: CoreMetadata
    root_is_purelib: bool
    files: tuple[ArchivedFile, ...]
    console_scripts: tuple[EntryPoint, ...]
    gui_scripts: tuple[EntryPoint, ...]
    carried: tuple[Carried, ...] = ()
    code: tuple[MachineCode, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildTool:
    """A program that compiling needs, and what in the sdist says so. `name` is one of c, c++, cmake, make."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SdistFacts:
    """What one sdist says of itself, read without running any of it.

    build_requires: PEP 508 requirements of its build system; backend: its PEP 517 backend, and where that lives
    in the tree. native: why the result will hold machine code, empty when it will not, and tools what compiling it
    needs beside the build requirements. modules: top-level names that the installed dist will be imported by.
    plain: its wheel holds modules, declared scripts and metadata and nothing else, as far as its configuration tells.
    """

    filename: str
    sha256: Sha256
    folder: str
    metadata: CoreMetadata
    build_requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]
    scripts: tuple[EntryPoint, ...]
    native: str
    modules: tuple[str, ...]
    licence_files: tuple[str, ...]
    readme_files: tuple[str, ...]
    has_uv_lock: bool
    tools: tuple[BuildTool, ...] = ()
    plain: bool = False

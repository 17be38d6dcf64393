"""Wheels and sdists tried in clean environments, as values: what is tried, and how it went."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.model import WheelFacts

_MODULE = re.compile(r"(?P<path>[A-Za-z_][\w/]*)(?:\.[\w-]+)?\.so\Z")
_TEST = re.compile(r"(?P<folder>(?:.*/)?tests?)/(?:[^/]+/)*(?:test_[^/]*|[^/]*_test)\.py\Z")
_OURS = re.compile(r"[^/]+\.(?:dist-info|data|libs)\Z")


class Origin(StrEnum):
    """What a package was installed from."""

    WHEEL = "wheel"
    SDIST = "sdist"


class State(StrEnum):
    """How a part of a trial ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "not run"
    """`detail` says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a trial: install, requirements, imports, scripts or suite. counts: how many ended how."""

    name: str
    state: State
    detail: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """One package, from a wheel or an sdist, on one interpreter.

    python: its whole version; arch: that of its machine; lacking: requirements that were not there for it, and why.
    Without parts it was not tried, and `reason` says why.
    """

    package: str
    origin: Origin
    interpreter: str
    python: str
    file: str
    sha256: str
    parts: tuple[Part, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    arch: str = ""

    @property
    def state(self) -> State:
        """Failed when it could not be installed, imported or started; a suite's failures are told by themselves.

        Not run where its imports show nothing, for they need what could not be had.
        """
        states = {part.name: part.state for part in self.parts if part.name != "suite"}
        if State.FAILED in states.values():
            return State.FAILED
        shown = bool(states) and states.get("imports") is not State.SKIPPED
        return State.PASSED if shown else State.SKIPPED

    def part(self, name: str) -> Part | None:
        """Return one part, None when it was not come to."""
        return next((part for part in self.parts if part.name == name), None)

    @property
    def key(self) -> str:
        """Tell it from every other one; a later trial of the same takes its place."""
        return f"{self.package} {self.origin} {self.interpreter} {self.arch} {self.file}"

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "package": self.package,
            "origin": self.origin.value,
            "interpreter": self.interpreter,
            "arch": self.arch,
            "python": self.python,
            "file": self.file,
            "sha256": self.sha256,
            "state": self.state.value,
            "reason": self.reason,
            "lacking": dict(sorted(self.lacking.items())),
            "parts": [
                {"name": part.name, "state": part.state.value, "detail": part.detail, "counts": dict(part.counts)}
                for part in self.parts
            ],
        }


def imports_of(wheel: WheelFacts) -> tuple[str, ...]:
    """Return what is imported of an installed wheel: its own top-level modules, and every extension module.

    A folder without `__init__.py` that holds files for another dist's package is none of its own.
    """
    paths = [file.path for file in wheel.files]
    tops = {
        path.removesuffix("/__init__.py") for path in paths if path.endswith("/__init__.py") and path.count("/") == 1
    }
    tops |= {path.removesuffix(".py") for path in paths if path.endswith(".py") and "/" not in path}
    native = {
        match["path"].replace("/", ".")
        for path in paths
        if (match := _MODULE.match(path)) and not _OURS.match(path.split("/")[0])
    }
    return tuple(sorted(name for name in tops | native if all(part.isidentifier() for part in name.split("."))))


@dataclass(frozen=True, slots=True)
class Suite:
    """Where a package's own tests are: folders of the sdist outside of its packages, and folders inside of them.

    inside: as they are below site-packages.
    """

    outside: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()


def suite_of(sdist: Iterable[str], wheel: Iterable[str]) -> Suite:
    """Return where the tests are, by the files of an sdist (below its folder) and of its wheel."""
    folders = {match["folder"] for path in sdist if (match := _TEST.match(path))}
    held = {match["folder"] for path in wheel if (match := _TEST.match(path))}
    packages = {path.split("/")[0] for path in wheel if "/" in path} - {""}
    inside = {folder for folder in held if not _OURS.match(folder.split("/")[0])}
    # what lies in a folder named tests at the top, or below one, belongs to no package
    outside = {folder for folder in folders if folder in {"test", "tests"} and folder not in packages}
    return Suite(tuple(sorted(_outermost(outside))), tuple(sorted(_outermost(inside))))


def _outermost(folders: set[str]) -> set[str]:
    return {one for one in folders if not any(one.startswith(f"{other}/") for other in folders - {one})}

"""What every builder takes and gives: specs and sources in, RPMs out of a clean root without network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from elpack.config.builds import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Repository:
    """A dnf repository that a build root may draw from: its id, and a folder or URL that holds repodata/.

    gpgkey: URL of the keys that sign it. A repository behind a URL is not used without one. A folder is unsigned
    without one, as what was made a moment ago for this run alone; with one, its packages and its metadata are checked.
    """

    id: str
    location: str
    priority: int = 99
    gpgkey: str = ""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One source package to build.

    name: of the source package, for logs, messages and the folder of its results. spec and sources: files on the host.
    requires: its BuildRequires as the spec spells them; a spec with %generate_buildrequires says more while it is
    built. log: where rpmbuild's output goes. dist: what it is of, for messages. limits: what it may take of the
    machine. foreign: whether code from outside runs in it. arch: what its RPMs are for, the root's own if it is empty.
    """

    name: str
    spec: Path
    sources: tuple[Path, ...]
    requires: tuple[str, ...]
    log: Path
    dist: str = ""
    limits: Limits = field(default_factory=Limits)
    foreign: bool = True
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished job: its binary RPMs, one or more, its source RPM, and the wall seconds that it took."""

    job: BuildJob
    srpm: Path
    rpms: tuple[Path, ...]
    seconds: float


Finished = Callable[[Built], None]
"""Is told what is finished, in the thread that builds."""


def unheard(_: Built) -> None:
    """Take no note of what is finished."""


class Builder(Protocol):
    """Runs rpmbuild in a clean root.

    The jobs of one call share one root and are built in order; callers pass more than one only when no
    code from outside runs in any of them (repackaged wheels). Different calls may run at the same time.
    """

    @property
    def name(self) -> str:
        """Return the builder's name as the release file and the command line spell it."""
        ...

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        """Build the jobs and leave each one's RPMs and SRPM in a folder of `out` that is named after it.

        `finished` is told of each job as soon as it is done, so that nothing that happens later takes it away.

        Raises `BuildError` naming the job, the last relevant lines of its log, and the command that
        reproduces it; what was finished before it is in `out` all the same.
        """
        ...

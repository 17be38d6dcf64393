"""One run: what the command line asked for, whom it tells, and what its steps found and made so far."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from elpack.errors import ConfigError, Problem
from elpack.model import Layout
from elpack.run import run
from elpack.steps.watch import Unwatched
from elpack.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from elpack.model import Target, Way
    from elpack.plan.model import NodeId, Plan
    from elpack.run import Runner
    from elpack.steps.base import Base
    from elpack.steps.closure import Sources
    from elpack.steps.gather import Gathered
    from elpack.steps.install import InstallReport
    from elpack.steps.project import Project
    from elpack.steps.results import Result
    from elpack.steps.sign import Signer
    from elpack.steps.smoke import SmokeReport
    from elpack.steps.watch import Watcher
    from elpack.workspace import Workspace


class Screen(Protocol):
    """What the pipeline tells the user; a terminal, a plain log, or nothing."""

    def phase(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that a phase runs; the value adds a word to its line."""
        ...

    def building(self, plan: Plan) -> AbstractContextManager[Watcher]:
        """Show packages being built."""
        ...

    def notice(self, text: str) -> None:
        """Say something that the user should know."""
        ...


class Unseen:
    """A screen that nobody looks at."""

    @contextmanager
    def phase(self, _title: str) -> Iterator[Callable[[str], None]]:
        """Show nothing."""
        yield lambda _: None

    @contextmanager
    def building(self, _plan: Plan) -> Iterator[Watcher]:
        """Show nothing."""
        yield Unwatched()

    def notice(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line decides. An empty target or builder means: choose."""

    target: str = ""
    arch: str = ""
    layout: str = ""
    builder: str = "auto"
    distribution: str = ""
    workers: int = 0
    keep_going: bool = False
    offline: bool = False
    again: bool = False
    """Install and smoke-test even what passed before."""
    unsigned: bool = False
    """Hand over what somebody signs later, elsewhere."""
    way: Way | None = None
    """How code of another architecture is compiled; what the release says if it is None."""
    preload: Path | None = None
    """A library of the host that all programs of a build load first."""


@dataclass(slots=True)
class Session:
    """One run: what it was asked for, and what its steps found and made so far. Steps set what later ones read."""

    workspace: Workspace
    options: Options
    screen: Screen
    runner: Runner = run
    project: Project = field(init=False)
    target: Target = field(init=False)
    home: Session | None = None
    """The same release for this machine's own architecture, where `target` is of another one."""
    sources: Sources | None = None
    """The lock and the first-party sources, where an earlier part of the run has read them."""
    gathered: Gathered = field(init=False)
    plan: Plan = field(init=False)
    specs: dict[NodeId, str] = field(default_factory=dict)
    base: Base = field(init=False)
    results: dict[NodeId, Result] = field(default_factory=dict)
    signer: Signer | None = None
    """None: what is handed over is not signed."""
    repository: Path = field(init=False)
    install: InstallReport | None = None
    smoke: SmokeReport | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _store: Store | None = None

    @property
    def has_base(self) -> bool:
        """Tell whether the target's own packages were provided."""
        return hasattr(self, "base")

    @property
    def store(self) -> Store:
        """Finished work, one object for all of the run, which may be entered more than once."""
        if self._store is None:
            self._store = self.home.store if self.home else Store(self.workspace.store)
        return self._store

    @property
    def layout(self) -> Layout:
        """The layout that is made. Raises `ConfigError` when the release does not have it."""
        release = self.project.release
        if not self.options.layout:
            return release.layout
        if self.options.layout not in release.layouts:
            what = f"the release has no layout {self.options.layout}"
            fix = f"one of: {', '.join(release.layouts)}; [system] in elpack.toml adds layout system"
            raise ConfigError(Problem(what, where="--layout", fix=fix))
        return Layout(self.options.layout)

    @property
    def repository_id(self) -> str:
        """What dnf calls the repository; a host may have those of two layouts."""
        release = self.project.release
        return release.name if self.layout is release.layout else f"{release.name}-{self.layout}"

    @property
    def output(self) -> Path:
        """The folder of this target's results; another layout than the release's own has one inside it."""
        folder = self.workspace.output(self.target)
        return folder if self.layout is self.project.release.layout else folder / self.layout

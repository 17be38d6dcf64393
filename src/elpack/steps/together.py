"""Lets a build of several sides go on in a thread of its own, while what is finished of the first is handed over."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from elpack.plan.model import NodeId, Package
    from elpack.steps.results import Result
    from elpack.steps.sides import Sided
    from elpack.steps.watch import Watcher

_PAUSE = 0.2
"""Seconds after which whoever waits looks whether he was interrupted."""


@dataclass
class _Notes:
    """Keeps what a build tells, until somebody wants to show it."""

    told: Callable[[str, Callable[[Watcher], None]], None]
    """Is given the architecture, "" for all, and what to say."""
    arch_of: Callable[[Package], str]

    def started(self, packages: Sequence[Package]) -> None:
        self.told(self.arch_of(packages[0]), lambda watcher: watcher.started(packages))

    def finished(self, package: Package, seconds: float, *, cached: bool) -> None:
        self.told(self.arch_of(package), lambda watcher: watcher.finished(package, seconds, cached=cached))

    def postponed(self, packages: Sequence[Package]) -> None:
        self.told(self.arch_of(packages[0]), lambda watcher: watcher.postponed(packages))

    def failed(self, package: Package) -> None:
        self.told(self.arch_of(package), lambda watcher: watcher.failed(package))

    def notice(self, text: str) -> None:
        self.told("", lambda watcher: watcher.notice(text))


@dataclass
class Together:
    """A build that runs from entering to leaving; leaving by an error ends what still runs."""

    sided: Sided
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _told: deque[tuple[str, Callable[[Watcher], None]]] = field(default_factory=deque)
    _error: BaseException | None = None
    _ended: bool = False
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        build = self.sided.build
        build.watcher = _Notes(self._tell, build.arch_of)
        self._thread = threading.Thread(target=self._run, name="builds")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        build = self.sided.build
        if error is not None:
            build.stopping.set()
        while self._thread.is_alive():
            if build.stopping.is_set():
                build.stop()
            self._thread.join(_PAUSE)

    def finish(self, arch: str, watcher: Watcher) -> dict[NodeId, Result]:
        """Wait until all of one architecture is built, telling the watcher, and return it.

        Raises `BuildError` when some of it is not; what still runs is ended then, unless the architecture is the last.
        """
        build, mine, heard = self.sided.build, frozenset(self.sided.names[arch].values()), frozenset((arch, ""))
        is_last = arch == tuple(self.sided.names)[-1]
        while True:
            with self._changed:
                # what is told of others stays until somebody waits for them
                self._changed.wait_for(lambda: self._ended or any(one in heard for one, _ in self._told), _PAUSE)
                done = build.done()
                ended, told = self._ended, [one for one in self._told if one[0] in heard]
                for one in told:
                    self._told.remove(one)
            for _, say in told:
                say(watcher)
            if done.keys() >= mine:
                return self.sided.results(arch, done)
            if ended and self._error:
                raise self._error
            if not is_last and build.has_failed(mine):
                build.stopping.set()
                build.stop()

    def _run(self) -> None:
        try:
            self.sided.build.run()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _tell(self, arch: str, say: Callable[[Watcher], None]) -> None:
        with self._changed:
            self._told.append((arch, say))
            self._changed.notify_all()

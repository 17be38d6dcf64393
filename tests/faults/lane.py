"""Kills a run again and again, and holds what is on disk against what a run that nobody disturbed made."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.project import TARGET
from tests.faults.whole import groups, index_agrees, leftovers, processes, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.faults.project import Project, Run

RPM_ALL = ("rpm-all", *TARGET, "--builder", "bwrap")
_MOST_BUILT = 10
_GRACE = 5.0
"""Seconds in which everything that a killed run had started must be gone by itself."""


@dataclass
class Lane:
    """Kills of one project. `kept` are nodes that are not made again when all is begun anew: they take minutes.

    `reference` are the digests that a run nobody disturbed gave; `spans` how long each phase takes, in seconds.
    """

    project: Project
    seed: int
    reference: Mapping[str, str]
    spans: Mapping[str, float]
    kept: tuple[str, ...] = ()
    kills: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    lost: float = 0.0
    slowest_orphan: float = 0.0
    _groups: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - to be repeated by its seed

    def kill_in(self, phase: str, times: int, *arguments: str, longest: float = 3.0) -> None:
        """Kill so many runs while they are in a phase, each at an instant of its own."""
        while times:
            before = self.project.entries()
            run = self.project.start(*(arguments or RPM_ALL))
            if run.reaches(phase):
                if phase == "build":
                    self._some_built(run, before)
                self._sleep(run, self.random.uniform(0.0, min(longest, max(0.5, self.spans.get(phase, longest)))))
            if run.ended():
                self._ended(run, phase)
                continue
            self._kill(run, phase, before)
            times -= 1

    def kill_after(self, seconds: float, name: str, *arguments: str) -> None:
        """Kill one run of any command some seconds after its start, at the latest."""
        before = self.project.entries()
        run = self.project.start(*arguments)
        self._sleep(run, self.random.uniform(0.1, seconds))
        if run.ended():
            assert run.process.returncode == 0, run.said()[-4000:]
            self._say(f"{name}: was done before it could be killed")
            return
        self._kill(run, name, before)

    def finish(self, *arguments: str) -> None:
        """Let a run come to its end, and look at all that it left."""
        before = self.project.entries()
        run = self.project.start(*(arguments or RPM_ALL))
        assert run.wait() == 0, run.said()[-6000:]
        self._same_entries(before)
        self._complete()

    def begin_anew(self) -> None:
        """Remove results and finished work, but for what is kept."""
        self.project.forget(but=self.kept)
        (self.project.work / "store" / "journal.jsonl").write_text("")

    def _some_built(self, run: Run, before: Mapping[str, int]) -> None:
        """Wait for a number of packages to be finished, so that there is progress on a slow machine, too."""
        wanted = self.random.randint(0, _MOST_BUILT)
        run.until(lambda: len(self.project.entries().keys() - before.keys()) >= wanted)

    @staticmethod
    def _sleep(run: Run, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not run.ended():
            time.sleep(0.002)

    def _kill(self, run: Run, phase: str, before: Mapping[str, int]) -> None:
        self._groups += groups(self.project)
        run.kill()
        killed = time.monotonic()
        after = time.monotonic() - run.start
        found = whole(self.project.output)
        assert found in ({}, self.reference), "the results are neither the old ones nor the new ones"
        index_agrees(self.project)
        left = processes(self.project.folder, _GRACE)
        # an agent that dnf's gpg left does nothing more, and is ended by the next run
        left = {pid: command for pid, command in left.items() if not command.startswith("gpg-agent ")}
        assert not left, f"still there {_GRACE:.0f} s after the kill in {phase}: {left}"
        self.slowest_orphan = max(self.slowest_orphan, time.monotonic() - killed)
        if phase != "clean":
            self._same_entries(before)
        new = len(self.project.entries().keys() - before.keys())
        self.kills[phase] += 1
        self._say(f"{sum(self.kills.values()):3} {phase:<11} {after:6.1f} s after its start, {new} new entries")

    def _same_entries(self, before: Mapping[str, int]) -> None:
        now = self.project.entries()
        changed = [key for key, inode in before.items() if now.get(key) != inode]
        names = self.project.names()
        assert not changed, f"finished work was made again, or is gone: {[names.get(key, key) for key in changed]}"

    def _ended(self, run: Run, phase: str) -> None:
        assert run.process.returncode == 0, f"a run after {sum(self.kills.values())} kills: {run.said()[-6000:]}"
        self._complete()
        if phase == "build":
            self.begin_anew()
        else:
            shutil.rmtree(self.project.dist)

    def _complete(self) -> None:
        self.completed += 1
        found = whole(self.project.output)
        assert found == self.reference, sorted(set(found.items()) ^ set(self.reference.items()))[:10]
        index_agrees(self.project)
        assert (self.project.dist / "manifest.json").exists()
        assert leftovers(self.project) == []
        assert [group for group in self._groups if group.exists()] == []
        built = Counter(self.project.built())
        again = {node: count for node, count in built.items() if count > 1}
        assert not again, f"built more than once: {again}"

    @staticmethod
    def _say(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - who waits for a long lane wants to see it go on

    def report(self) -> str:
        """Return what was done, for people."""
        kills = ", ".join(f"{phase} {count}" for phase, count in self.kills.items())
        return "\n".join(
            [
                f"seed {self.seed}: {sum(self.kills.values())} kills ({kills}), {self.completed} runs to the end",
                f"what a killed run had started was gone after {self.slowest_orphan:.2f} s at most",
            ]
        )

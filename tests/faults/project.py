"""A project to break runs with: a folder of its own, its command line, and what is on disk afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.warm import link_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPOSITORY = Path(__file__).parents[2]
TOY = Path(__file__).parent / "toy"
WARM = Path(os.environ.get("ELPACK_FAULTS_WARM", REPOSITORY / ".elpack"))
"""A work folder that earlier runs filled: nothing is fetched or made twice for a test."""

TARGET = ("--target", "el9-standin")
PHASES = {
    "read": "Read the release file",
    "fetch": "Fetch what the locks pin",
    "plan": "Plan and check the whole set",
    "base": "Provide the target's own packages",
    "build": "Build in clean roots",
    "check": "Check the built set",
    "repository": "Make the dnf repository",
    "install": "Install and smoke-test",
}
"""Each phase by its name, with the title that a run prints when it has ended."""

_LINE = re.compile(r"^. (.{34}) +([0-9.]+) s", re.MULTILINE)
_ORDER = list(PHASES)


@dataclass
class Run:
    """One run of the command line, its output in a file."""

    process: subprocess.Popen[bytes]
    log: Path
    start: float = field(default_factory=time.monotonic)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self, seconds: float = 1200) -> int:
        return self.process.wait(seconds)

    def until(self, condition: Callable[[], bool], seconds: float = 1200) -> bool:
        """Wait until something holds, and tell whether it came to that before the run ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            if self.ended():
                return condition()
            time.sleep(0.01)
        raise TimeoutError(self.said()[-3000:])

    def reaches(self, phase: str) -> bool:
        """Wait until a phase begins; False when the run ended before."""
        before = PHASES[_ORDER[_ORDER.index(phase) - 1]]
        return self.until(lambda: before in self.said())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait(60)

    def phases(self) -> dict[str, float]:
        """Return the seconds of each phase that was ended."""
        found = {title.strip(): float(seconds) for title, seconds in _LINE.findall(self.said())}
        return {name: found[title] for name, title in PHASES.items() if title in found}


@dataclass(frozen=True)
class Project:
    """A folder with a release file; the work folder and the results lie in it."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    work: Path = field(init=False)
    dist: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "work", self.folder / ".elpack")
        object.__setattr__(self, "dist", self.folder / "dist")

    @property
    def output(self) -> Path:
        return self.dist / "el9-standin" / "x86_64"

    def start(self, *arguments: str, **options: Any) -> Run:
        """Start the command line in a session, so a process group, of its own."""
        log = self.folder / "run.log"
        argv = (sys.executable, "-m", "elpack", *arguments)
        env = {**os.environ, **self.env, "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                **{
                    "cwd": self.folder,
                    "env": env,
                    "stdin": subprocess.DEVNULL,
                    "stdout": output,
                    "stderr": output,
                    "start_new_session": True,
                    **options,
                },
            )
        return Run(process, log)

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """Run a command to its end, and return what it said."""
        run = self.start(*arguments, **options)
        found = run.wait()
        assert found == code, f"{' '.join(arguments)} ended with {found}\n{run.said()[-6000:]}"
        return run.said()

    def entries(self) -> dict[str, int]:
        """Return the store's entries with the inode of each: one that is made again has another."""
        return {path.name: path.stat().st_ino for path in self.work.glob("store/??/*") if path.is_dir()}

    def names(self) -> dict[str, str]:
        """Return which package each entry of the store holds, "" for other things, such as signed copies."""
        found = {}
        for path in self.work.glob("store/??/*/entry.json"):
            found[path.parent.name] = str(json.loads(path.read_text())["info"].get("node", ""))
        return found

    def forget(self, *, but: tuple[str, ...] = ()) -> None:
        """Remove results and finished work, except the entries of some nodes."""
        shutil.rmtree(self.dist, ignore_errors=True)
        for key, node in self.names().items():
            if node not in but:
                shutil.rmtree(self.work / "store" / key[:2] / key)

    def built(self) -> list[str]:
        """Return the nodes that the journal says were built, in order, since it was begun."""
        journal = self.work / "store" / "journal.jsonl"
        found = []
        for line in journal.read_bytes().decode(errors="replace").splitlines():
            with suppress(ValueError):  # what a killed run, or a test, cut short
                event = json.loads(line)
                found += [event["node"]] if event["event"] == "built" else []
        return found


def toy(folder: Path, *, store: bool = False) -> Project:
    """Return the small project, with the stand-in and the downloads that are here already."""
    shutil.copytree(TOY, folder)
    return _warm(Project(folder), store=store)


def wamp(folder: Path) -> Project:
    """Return the real release with everything that was ever made for it."""
    folder.mkdir()
    for name in ("elpack.toml", "pylock.build.toml", "rpmlint.toml"):
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "specs", folder / "specs")
    return _warm(Project(folder), store=True)


def _warm(project: Project, *, store: bool) -> Project:
    project.work.mkdir()
    # a test that damages what was read from archives is to find that of this project
    link_trees(WARM, project.work, ("downloads", "standin", *(("facts",) if store else ())))
    if store and (WARM / "store").exists():
        shutil.copytree(WARM / "store", project.work / "store")
    return project

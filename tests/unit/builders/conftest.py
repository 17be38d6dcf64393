"""A runner that plays the tools: it records every command, and does what a test tells it to do for some."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Repository
from elpack.run import Command, Completed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.model import Target


@dataclass
class Player:
    """Runs nothing. `acts` are pairs of a word of the command line, and what happens then."""

    commands: list[Command] = field(default_factory=list)
    acts: list[tuple[str, Callable[[Command], int]]] = field(default_factory=list)

    def __call__(self, command: Command) -> Completed:
        self.commands.append(command)
        for word, act in self.acts:
            if _holds(command, word):
                return Completed(command, act(command), "", "", 0.1)
        return Completed(command, 0, "", "", 0.1)

    def on(self, word: str, returncode: int = 0, says: str = "", act: Callable[[Command], None] | None = None) -> None:
        """Decide what the next commands with this word do; the latest decision counts."""

        def play(command: Command) -> int:
            if act is not None:
                act(command)
            if says and command.log is not None:
                with command.log.open("a") as log:
                    log.write(says)
            return returncode

        self.acts.insert(0, (word, play))

    def lines(self, word: str) -> list[str]:
        """Return the command lines that hold the word."""
        return [str(command) for command in self.commands if _holds(command, word)]


def _holds(command: Command, word: str) -> bool:
    """Tell whether the word is one of the arguments, or stands in the script that ends the command."""
    script = command.argv[-1]
    return word in command.argv or (" " in script and word in script)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code under test believe that it is root, and let it give files away without effect."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_: None)


@pytest.fixture
def base_repository(tmp_path: Path) -> Repository:
    repodata = tmp_path / "base-repository" / "repodata"
    repodata.mkdir(parents=True)
    (repodata / "repomd.xml").write_text("<repomd/>")
    return Repository("standin", str(repodata.parent))


@pytest.fixture
def standin(make_target: Callable[[str, str], Target]) -> Target:
    target = make_target("3.11", "x86_64")
    return replace(target, name="el9-standin", standin=True, buildroot=("bash", "rpm-build"), title="stand-in")


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., BuildJob]:
    def make(name: str = "tiny", requires: tuple[str, ...] = ("make",)) -> BuildJob:
        spec, source = tmp_path / f"{name}.spec", tmp_path / f"{name}.txt"
        spec.write_text(f"Name: {name}\n")
        source.write_text("hello\n")
        return BuildJob(name, spec, (source,), requires, tmp_path / "logs" / f"{name}.log", foreign=False)

    return make


@pytest.fixture
def job(make_job: Callable[..., BuildJob]) -> BuildJob:
    return make_job()

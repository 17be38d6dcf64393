"""Specs that say what they need while they are built."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.dynamic import ROUNDS, as_asked, installable, is_dynamic
from elpack.builders.limits import Mechanism
from elpack.errors import BuildError

from .test_bwrap import leave_rpms
from .test_roots import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target
    from elpack.run import Command, Completed

    from .conftest import Player

pytestmark = pytest.mark.usefixtures("as_root")

MISSING = 11


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("make", ("make",)),
        ("python3.11dist(a) >= 1", ("python3.11dist(a) >= 1",)),
        ("(p(a) >= 1 with p(a) < 2)", ("(p(a) >= 1 with p(a) < 2)",)),
        ("p(a[x])", ("p(a[[]x])",)),
        ("p(a[x]) >= 1", ("p(a[[]x]) >= 1",)),
        ("(p(a[x]) >= 1 with p(a[x]) < 2)", ("p(a[[]x]) >= 1", "p(a[[]x]) < 2")),
        ("((p(a[x]) >= 1 with p(a[x]) < 2) with p(a[x]) > 0)", ("p(a[[]x]) >= 1", "p(a[[]x]) < 2", "p(a[[]x]) > 0")),
        ("(p(a[x]) < 1 or p(a[x]) > 1)", ("p(a[[]x])",)),
        ("((p(a[x]) < 1 or p(a[x]) > 1) with p(a[x]) < 9)", ("p(a[[]x])", "p(a[[]x]) < 9")),
    ],
)
def test_how_dnf_is_asked(requirement: str, words: tuple[str, ...]) -> None:
    assert installable(requirement) == words
    assert as_asked(" ".join(words)).count("[[]") == 0


@dataclass
class Spec:
    """Plays a spec that asks for more in each round, until it is content."""

    rounds: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    asked: tuple[str, ...] = ()

    def ask(self, command: Command) -> None:
        self.asked = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        folder = Path(command.argv[command.argv.index("/builddir") - 1]) / "build" / "SRPMS"
        (folder / "tiny-1-1.buildreqs.nosrc.rpm").write_text("")


@pytest.fixture
def job(job: BuildJob) -> BuildJob:
    job.spec.write_text("Name: tiny\n%prep\n%generate_buildrequires\necho x\n")
    return job


@pytest.fixture
def build(
    tmp_path: Path, standin: Target, base_repository: Repository, player: Player, job: BuildJob
) -> Callable[..., None]:
    """Return a function that builds a spec which asks for these requirements, round after round."""
    spec = Spec()

    def runner(command: Command) -> Completed:
        done = player(command)
        if command.argv[0] != "rpm":
            return done
        lines = "".join(f"R {requirement}\n" for requirement in spec.asked)
        return replace(done, stdout=f"\x1fN tiny\n{lines}R rpmlib(X) <= 1\n")

    player.on("install", act=fill)
    player.on("-br", returncode=MISSING, act=spec.ask)
    player.on("-ba", act=leave_rpms)
    extra = (Repository("elpack", base_repository.location, 1),)
    builder = BwrapBuilder(standin, (base_repository,), tmp_path / "work", runner, extra, mechanism=Mechanism())

    def run(*rounds: tuple[str, ...]) -> None:
        spec.rounds = list(rounds)
        builder.build((job,), tmp_path / "out")

    return run


def test_only_a_spec_with_the_section_is_asked(job: BuildJob) -> None:
    assert is_dynamic(job)
    job.spec.write_text("Name: tiny\n# no %generate_buildrequires here\n")
    assert not is_dynamic(job)


def test_rounds_go_on_until_nothing_new_is_asked(build: Callable[..., None], player: Player, tmp_path: Path) -> None:
    build(("make", "b"), ("make", "b", "p(c[x]) > 1"))
    installs = [line.partition(" install ")[2] for line in player.lines("install")]
    assert installs[-3:] == ["make", "b", "'p(c[[]x]) > 1'"]
    asked = [command.argv for command in player.commands if "-br" in command.argv]
    assert ["--noprep" in argv for argv in asked] == [False, True, True]
    (built,) = [command.argv for command in player.commands if "-ba" in command.argv]
    assert built[-1] == "--noprep"
    assert "--nodeps" not in built
    # what only said what is needed is no result
    assert sorted(path.name for path in (tmp_path / "out/tiny").iterdir()) == [
        "tiny-1-1.noarch.rpm",
        "tiny-1-1.src.rpm",
    ]


def test_a_requirement_that_cannot_be_had_is_named_and_can_be_seen_again(
    build: Callable[..., None], player: Player, job: BuildJob
) -> None:
    player.on("p(nosuch[[]x])", returncode=1, says="No match for argument: p(nosuch[[]x])\n")
    with pytest.raises(BuildError) as caught:
        build(("make", "p(nosuch[x])"))
    (problem,) = caught.value.problems
    assert problem.what == "no repository provides p(nosuch[x])"
    assert problem.where == "tiny"
    script = Path(f"{job.log}.sh").read_text()
    assert "install make 'p(nosuch[[]x])'" in script
    assert " -ba" in script


def test_a_spec_that_is_never_content_is_ended(build: Callable[..., None]) -> None:
    with pytest.raises(BuildError, match=rf"something new {ROUNDS} times, the last time for more{ROUNDS - 1}"):
        build(*((f"more{number}",) for number in range(ROUNDS + 1)))


def test_a_section_that_fails_is_a_failed_build(build: Callable[..., None], player: Player) -> None:
    player.on("-br", returncode=1, says="error: Bad exit status from x (%generate_buildrequires)\n")
    with pytest.raises(BuildError, match="Bad exit status"):
        build(())


@pytest.mark.parametrize(
    "requirement", ["-x", "@everything", "/tmp/evil.rpm", "https://example.org/evil", "file:///evil.rpm", "a\tb", "*"]
)
def test_what_dnf_would_misunderstand_is_refused(build: Callable[..., None], requirement: str) -> None:
    with pytest.raises(BuildError, match="which is no package"):
        build((requirement,))

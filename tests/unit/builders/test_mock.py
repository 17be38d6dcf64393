from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.mock import MockBuilder
from elpack.builders.mock.config import DISTRIBUTIONS, configuration
from elpack.config.builds import Limits
from elpack.errors import BuildError, ConfigError, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target
    from elpack.run import Command

    from .conftest import Player


def option(command: Command, name: str) -> str:
    return command.argv[command.argv.index(name) + 1]


def play_mock(command: Command) -> None:
    """Play mock: leave results and logs in the result folder."""
    result = Path(option(command, "--resultdir"))
    result.mkdir()
    name = Path(option(command, "--spec")).stem
    (result / f"{name}-1-1.src.rpm").write_text("source")
    (result / f"{name}-1-1.noarch.rpm").write_text("binary")
    (result / "build.log").write_text("Wrote: it\n")
    (result / "root.log").write_text("Installed: all\n")


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "exchange"
    folder.mkdir()
    monkeypatch.setattr("elpack.builders.mock.builder._EXCHANGE", str(folder))
    return folder


@pytest.fixture
def builder(
    tmp_path: Path, standin: Target, base_repository: Repository, player: Player, request: pytest.FixtureRequest
) -> MockBuilder:
    for other in ("exchange", "as_root"):
        request.getfixturevalue(other)
    player.on("--rebuild", act=play_mock)
    return MockBuilder(standin, (base_repository,), tmp_path / "work", player, user=997)


def load(text: str) -> dict[str, Any]:
    """Run a configuration as mock does, which knows all options beforehand; includes are left out."""
    options: dict[str, Any] = {"macros": {}, "environment": {"PS1": "$"}, "dnf.conf": "", "plugin_conf": {}}
    lines = [line for line in text.splitlines() if not line.startswith("include(")]
    exec("\n".join(lines), {"config_opts": options})  # noqa: S102
    return options


def test_srpm_and_rpms_come_from_one_call_in_a_clean_root(
    builder: MockBuilder, player: Player, make_job: Callable[..., BuildJob], tmp_path: Path, exchange: Path
) -> None:
    built = builder.build((make_job("one"), make_job("two")), tmp_path / "out")
    assert [path.name for result in built for path in (result.srpm, *result.rpms)] == [
        "one-1-1.src.rpm", "one-1-1.noarch.rpm", "two-1-1.src.rpm", "two-1-1.noarch.rpm",
    ]  # fmt: skip
    first, second, last = player.commands
    assert "--no-clean" not in first.argv
    assert "--no-clean" in second.argv
    assert last.argv[-1] == "--clean"
    assert first.env["SUDO_UID"] == "997"
    assert [result.job.log.read_text() for result in built] == ["Wrote: it\n"] * 2
    assert (tmp_path / "logs" / "one.root.log").read_text() == "Installed: all\n"
    assert list(exchange.iterdir()) == []


@pytest.mark.parametrize(
    ("machine", "arch", "emulated", "target"),
    [("x86_64", "", "", ""), ("aarch64", "", "x86_64", ""), ("x86_64", "aarch64", "", "aarch64")],
)
def test_another_architecture_is_emulated_or_only_written_down(  # noqa: PLR0917 - one column each
    builder: MockBuilder,
    player: Player,
    make_job: Callable[..., BuildJob],
    tmp_path: Path,
    machine: str,
    arch: str,
    emulated: str,
    target: str,
) -> None:
    replace(builder, machine=machine).build((replace(make_job("one"), arch=arch),), tmp_path / "out")
    build, clean = player.commands
    for name, value in (("--forcearch", emulated), ("--arch", target)):
        assert (option(build, name) if name in build.argv else "") == value
    assert ("--forcearch" in clean.argv) is bool(emulated)


def test_builds_at_the_same_time_have_roots_of_their_own(
    builder: MockBuilder, player: Player, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    def nested(command: Command) -> None:
        if option(command, "--spec").endswith("outer.spec"):
            builder.build((make_job("inner"),), tmp_path / "out")
        play_mock(command)

    player.on("--rebuild", act=nested)
    builder.build((make_job("outer"),), tmp_path / "out")
    slots = {Path(option(c, "--spec")).stem: option(c, "--uniqueext") for c in player.commands if "--spec" in c.argv}
    assert slots == {"outer": "0", "inner": "1"}


def test_a_failed_build_says_why_and_keeps_what_its_command_needs(
    builder: MockBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    def fail(command: Command) -> None:
        play_mock(command)
        log = Path(option(command, "--resultdir")) / "build.log"
        log.write_text("+ make\nx.c:1: error: no\nRPM build errors:\n    Bad exit\n")

    finished = tmp_path / "finished"
    (finished / "repodata").mkdir(parents=True)
    player.on("--rebuild", returncode=1, act=fail)
    with pytest.raises(BuildError) as caught:
        replace(builder, extra=(Repository("elpack", str(finished), 1),)).build((job,), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where == f"tiny ({job.log})"
    assert "x.c:1: error: no" in problem.what
    command = problem.fix.removeprefix("to see it again: ")
    assert command.startswith("env SUDO_UID=997 mock -r ")
    assert "--no-clean " not in command
    words = command.split()
    config, sources = Path(words[words.index("-r") + 1]), Path(words[words.index("--sources") + 1])
    assert f"baseurl=file://{config.parent}/repositories/elpack" in load(config.read_text())["dnf.conf"]
    assert (sources / "tiny.txt").read_text() == "hello\n"
    assert player.commands[-1].argv[-1] == "--clean"


REFUSALS: dict[str, tuple[str, type[Exception], str]] = {
    "result/root.log": (
        "DEBUG util.py:5:  No matching package to install: 'nosuch >= 2'\n",
        BuildError,
        "no repository provides nosuch >= 2",
    ),
    # what a build prints does not end the run: the disk itself says whether it is full
    "result/build.log": ("error: No space left on device\n", BuildError, "No space left on device"),
    "mock.log": ("RuntimeError: Must be member of 'mock' group\n", BuildError, "Must be member of 'mock' group"),
}


@pytest.mark.parametrize("log", REFUSALS)
def test_failures_before_rpmbuild_are_explained(
    builder: MockBuilder, player: Player, job: BuildJob, tmp_path: Path, log: str
) -> None:
    said, kind, words = REFUSALS[log]

    def fail(command: Command) -> None:
        result = Path(option(command, "--resultdir"))
        result.mkdir()
        (result.parent / log).write_text(said)

    player.on("--rebuild", returncode=1, act=fail)
    with pytest.raises(kind, match=words):
        builder.build((job,), tmp_path / "out")


def test_a_full_disk_is_seen_on_the_disk(
    builder: MockBuilder, player: Player, job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player.on("--rebuild", returncode=1, act=play_mock)
    monkeypatch.setattr("elpack.builders.mock.builder.is_full", lambda folder: True)
    with pytest.raises(DiskFullError, match="the disk is full"):
        builder.build((job,), tmp_path / "out")


def test_a_build_that_takes_too_long_is_ended_by_mock(
    builder: MockBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    def expire(command: Command) -> None:
        result = Path(option(command, "--resultdir"))
        result.mkdir()
        seconds = option(command, "--rpmbuild_timeout")
        (result.parent / "mock.log").write_text(f"ERROR: Timeout({seconds}) expired for command:\n # rpmbuild\n")

    player.on("--rebuild", returncode=1, act=expire)
    with pytest.raises(BuildError, match=r"ended by its limit(.|\n)*\[builds\] time"):
        builder.build((replace(job, limits=Limits(time=7)),), tmp_path / "out")


def test_an_interrupted_build_leaves_nothing(
    builder: MockBuilder, player: Player, job: BuildJob, tmp_path: Path, exchange: Path
) -> None:
    def interrupt(_: Command) -> None:
        raise KeyboardInterrupt

    player.on("--rebuild", act=interrupt)
    with pytest.raises(KeyboardInterrupt):
        builder.build((job,), tmp_path / "out")
    assert list(exchange.iterdir()) == []
    assert player.commands[-1].argv[-1] == "--clean"


def test_the_stand_ins_configuration_agrees_with_the_bwrap_builder(builder: MockBuilder, tmp_path: Path) -> None:
    options = load(replace(builder, extra=(Repository("elpack", "/srv/elpack", 1),)).configuration())
    assert options["chroot_setup_cmd"] == "install bash rpm-build"
    assert options["target_arch"] == "x86_64"
    assert options["rpmbuild_networking"] is False
    assert options["macros"]["%_buildhost"] == "localhost"
    assert options["environment"]["TZ"] == "UTC"
    assert f"baseurl=file://{tmp_path}/base-repository" in options["dnf.conf"]
    assert "[elpack]\nname=elpack\npriority=1\n" in options["dnf.conf"]


def test_a_roots_name_follows_what_it_is_made_from_and_nothing_else(
    builder: MockBuilder, base_repository: Repository
) -> None:
    name = load(builder.configuration())["root"]
    other = replace(builder, extra=(Repository("elpack", "/srv/elpack", 1),))
    assert load(other.configuration())["root"] == name
    (Path(base_repository.location) / "repodata" / "repomd.xml").write_text("<repomd>new</repomd>")
    assert load(builder.configuration())["root"] != name


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if name != "el9-standin"])
def test_real_distributions_come_from_mocks_own_templates(
    make_target: Callable[[str, str], Target], distribution: str, arch: str
) -> None:
    target = replace(make_target("3.12", arch), buildroot=("bash", "make"))
    text = configuration(target, distribution, (Repository("baseos", "https://unused"),), (), "")
    assert text.count("include('templates/") == 1
    options = load(text)
    assert options["legal_host_arches"] == (arch,)
    assert options["root"].startswith(f"elpack-el9-{arch}-")
    assert options["dnf.conf"] == ""
    with_epel = configuration(target, f"{distribution}+epel", (), (), "")
    assert "include('templates/epel-9.tpl')" in with_epel
    assert load(with_epel)["chroot_setup_cmd"] == "install bash make epel-rpm-macros"


def test_an_unknown_distribution_is_refused(standin: Target) -> None:
    with pytest.raises(ConfigError, match="did you mean rocky-9"):
        configuration(standin, "rocky9", (), (), "")
    with pytest.raises(ConfigError, match="did you mean el9-standin"):
        configuration(standin, "el9-standin+epel", (), (), "")


def test_the_shipped_configurations_are_python() -> None:
    folder = Path(configuration.__code__.co_filename).parent
    names = {path.stem for path in folder.glob("*.cfg")}
    assert names == {*DISTRIBUTIONS, "epel-9"}
    for path in folder.glob("*.cfg"):
        compile(path.read_text(), path, "exec")

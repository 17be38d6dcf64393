from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.environment import UID
from elpack.builders.limits import Mechanism
from elpack.errors import BuildError, DiskFullError, PrivilegeError

from .test_roots import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target
    from elpack.run import Command

    from .conftest import Player


def leave_rpms(command: Command) -> None:
    """Play rpmbuild: leave results in the folder that the sandbox shows as /builddir."""
    argv = command.argv
    build = Path(argv[argv.index("/builddir") - 1]) / "build"
    name = next((build / "SPECS").iterdir()).stem
    (build / "SRPMS" / f"{name}-1-1.src.rpm").write_text("source")
    (build / "RPMS" / "noarch").mkdir()
    (build / "RPMS" / "noarch" / f"{name}-1-1.noarch.rpm").write_text("binary")


@pytest.fixture
def builder(
    tmp_path: Path, standin: Target, base_repository: Repository, player: Player, as_root: None
) -> BwrapBuilder:
    player.on("install", act=fill)
    player.on("rpmbuild -", act=leave_rpms, says="+ make\n")
    return BwrapBuilder(standin, (base_repository,), tmp_path / "work", player, mechanism=Mechanism())


def test_jobs_of_one_call_share_one_root(
    builder: BwrapBuilder, player: Player, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    jobs = (make_job("one", ("make",)), make_job("two", ("python3.11-devel", "make")))
    built = builder.build(jobs, tmp_path / "out")
    assert [result.job.name for result in built] == ["one", "two"]
    assert [path.name for result in built for path in (result.srpm, *result.rpms)] == [
        "one-1-1.src.rpm", "one-1-1.noarch.rpm", "two-1-1.src.rpm", "two-1-1.noarch.rpm",
    ]  # fmt: skip
    assert len(player.lines("overlay")) == 1
    assert player.lines("--installroot")[-1].endswith(" install make python3.11-devel")


def test_the_sandbox_has_no_network_no_privileges_and_a_fixed_world(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    builder.build((job,), tmp_path / "out")
    (command,) = (command for command in player.commands if "setpriv" in command.argv)
    words = " ".join(command.argv)
    for part in (
        "--unshare-net",
        "--unshare-pid",
        "--hostname localhost",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--setenv TZ UTC",
        "--setenv PYTHONHASHSEED 0",
        f"setpriv --reuid {UID} --regid {UID} --clear-groups --bounding-set -all",
        "_topdir /builddir/build",
        "_buildhost localhost",
        "--target x86_64",
    ):
        assert part in words
    assert command.log == job.log


def test_an_srpm_in_the_headers_of_its_rpms_is_avoided(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    builder.build((job,), tmp_path / "out")
    script = next(command for command in player.commands if "setpriv" in command.argv).argv[-1]
    assert script.endswith("/builddir/build/SPECS/tiny.spec -bb")
    assert "tiny.spec -bs && exec rpmbuild" in script


def test_a_failed_build_says_why_and_how_to_see_it_again(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    player.on("rpmbuild -", returncode=1, says="+ make\nx.c:1: error: no\nerror: Bad exit status from x (%build)\n")
    with pytest.raises(BuildError) as caught:
        builder.build((job,), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where == f"tiny ({job.log})"
    assert problem.what.splitlines()[1:] == ["x.c:1: error: no", "error: Bad exit status from x (%build)"]
    assert f"sh {job.log}.sh" in problem.fix
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "work" / "live").iterdir()) == []


def test_the_reproducing_script_needs_nothing_that_may_go_away(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    from dataclasses import replace

    finished = tmp_path / "finished"
    (finished / "repodata").mkdir(parents=True)
    (finished / "dep-1-1.noarch.rpm").write_text("dep")
    player.on("rpmbuild -", returncode=1, says="error: Bad exit status from x (%build)\n")
    with pytest.raises(BuildError):
        replace(builder, extra=(Repository("elpack", str(finished), 1),)).build((job,), tmp_path / "out")
    script = Path(f"{job.log}.sh")
    subprocess.run(("sh", "-n", str(script)), check=True)
    text = script.read_text()
    assert str(job.spec) not in text
    kept = tmp_path / "work" / "again" / "tiny"
    assert (kept / "repositories" / "elpack" / "dep-1-1.noarch.rpm").read_text() == "dep"
    assert (kept / "inputs" / "sources" / "tiny.txt").read_text() == "hello\n"
    config = next(word for word in text.split() if word.endswith(".conf"))
    assert f"baseurl=file://{kept}/repositories/elpack" in Path(config).read_text()
    # and a later success takes it away
    player.on("rpmbuild -", act=leave_rpms)
    builder.build((job,), tmp_path / "out")
    assert not script.exists()
    assert not kept.exists()


def test_a_missing_requirement_names_who_asked_for_it(
    builder: BwrapBuilder, player: Player, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    builder.roots().base()
    player.on("install", returncode=1, says="No match for argument: nosuch >= 2\n")
    with pytest.raises(BuildError) as caught:
        builder.build((make_job("one"), make_job("two", ("nosuch >= 2",))), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where == "two"
    assert problem.what == "no repository provides nosuch >= 2"
    assert "two.log.sh" in problem.fix


def test_what_was_finished_before_a_failure_is_kept(
    builder: BwrapBuilder, player: Player, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    player.on("two.spec", returncode=1, says="error: Bad exit status from x (%build)\n")
    with pytest.raises(BuildError):
        builder.build((make_job("one"), make_job("two")), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one"]
    assert sorted(path.name for path in (tmp_path / "out/one").iterdir()) == ["one-1-1.noarch.rpm", "one-1-1.src.rpm"]


def test_a_full_disk_is_told_apart(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player.on("rpmbuild -", returncode=1, says="gcc: fatal error: No space left on device\n")
    with pytest.raises(BuildError, match=r"wrote more than 20G to its disk(.|\n)*raise \[builds\] disk"):
        builder.build((job,), tmp_path / "out")
    # the log may lie, and only the host's own disk ends the whole run
    monkeypatch.setattr("elpack.builders.bwrap.is_full", lambda folder: folder == builder.work)
    with pytest.raises(DiskFullError):
        builder.build((job,), tmp_path / "out")


def test_a_disk_that_fills_while_results_are_copied_leaves_no_halves(
    builder: BwrapBuilder, job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import shutil

    copy = shutil.copyfileobj

    def full(source: BinaryIO, target: BinaryIO, length: int) -> None:
        copy(source, target, length)
        if target.name.endswith("partial/tiny-1-1.noarch.rpm"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DiskFullError):
        builder.build((job,), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_links_in_place_of_results_are_refused(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path, kind: str
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "evil.noarch.rpm").write_text("secret")

    def links(command: Command) -> None:
        leave_rpms(command)
        rpms = Path(command.argv[command.argv.index("/builddir") - 1]) / "build" / "RPMS"
        if kind == "file":
            (rpms / "evil.noarch.rpm").symlink_to(secret / "evil.noarch.rpm")
        else:
            rpms.rename(rpms.with_name("elsewhere"))
            rpms.symlink_to(secret)

    player.on("rpmbuild -", act=links)
    with pytest.raises(BuildError, match=r"the build (left a link|replaced RPMS)"):
        builder.build((job,), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_build_without_results_is_an_error(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path
) -> None:
    player.on("rpmbuild -")
    with pytest.raises(BuildError, match="expected one SRPM and at least one RPM, found nothing"):
        builder.build((job,), tmp_path / "out")


def test_a_missing_source_is_an_error(builder: BwrapBuilder, job: BuildJob, tmp_path: Path) -> None:
    job.sources[0].unlink()
    with pytest.raises(BuildError, match=r"tiny\.txt is missing"):
        builder.build((job,), tmp_path / "out")


def test_without_root_nothing_is_run(
    builder: BwrapBuilder, player: Player, job: BuildJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError):
        builder.build((job,), tmp_path / "out")
    assert player.commands == []

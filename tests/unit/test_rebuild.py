"""A second build: what is compared, what is otherwise, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import Case
from typer.testing import CliRunner

from elpack.cli import app
from elpack.errors import BuildError, ConfigError, StoreError
from elpack.plan.make import make_plan
from elpack.run import Command, Completed
from elpack.steps.compare import compare
from elpack.steps.otherwise import Here, Otherwise, otherwise
from elpack.steps.rebuild import Places, build_again, keep, named_nodes, places, varied
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HERE = Here(
    environ={"PATH": "/usr/bin", "TZ": "UTC", "LC_ALL": "C", "SECRET": "x", "PYTHONHASHSEED": "4711"},
    umask=0o022,
    cpus=(0, 1, 2),
    locales=("C.utf8", "POSIX"),
    root=True,
    tools=frozenset({"unshare", "hostname", "taskset", "cc"}),
)


def fine(command: Command) -> Completed:
    return Completed(command, 0, "", "", 0.0)


def way(tmp_path: Path, here: Here = HERE, *, own_clock: bool = True, builds_clock: str = "") -> Otherwise:
    return otherwise(here, tmp_path / "way", 2, own_clock=own_clock, builds_clock=builds_clock, runner=fine)


def said(found: Otherwise) -> dict[str, str]:
    return {variation.what: variation.value for variation in found.variations}


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "one", tmp_path / "two-longer"
    for folder in folders:
        for name in ("repo/a.rpm", "repo/repodata/repomd.xml", "specs/a.spec", "manifest.json", "logs/build/a.log"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        (folder / "shop.repo").write_text(f"baseurl=file://{folder}/repo\n")
    return folders


@pytest.mark.parametrize("arguments", [("idna",), ("--rebuild-in", "x")])
def test_what_belongs_to_a_second_build_without_one_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["verify", *arguments])
    assert done.exit_code == 2
    assert "belong to --rebuild" in done.output


def test_equal_results_are_equal_wherever_they_lie(results: tuple[Path, Path]) -> None:
    (results[1] / "logs" / "build" / "a.log").write_text("another time")
    found = compare(*results)
    assert found.differences == ()
    assert found.kinds == {"manifest": 1, "repo-file": 1, "repodata": 1, "rpm": 1, "spec": 1}


def test_causes_come_before_what_follows_and_what_is_missing_is_told(results: tuple[Path, Path]) -> None:
    first, second = results
    (second / "manifest.json").write_text("other")
    (second / "repo" / "a.rpm").write_text("other")
    (second / "specs" / "a.spec").unlink()
    (second / "specs" / "b.spec").write_text("b")
    found = compare(first, second).differences
    assert [one.name for one in found] == ["specs/a.spec", "specs/b.spec", "repo/a.rpm", "manifest.json"]
    assert [(bool(one.first), bool(one.second)) for one in found] == [
        (True, False),
        (False, True),
        (True, True),
        (True, True),
    ]


def test_another_address_in_the_repo_file_is_a_difference(results: tuple[Path, Path]) -> None:
    (results[1] / "shop.repo").write_text("baseurl=http://evil.example/repo\n")
    assert [one.name for one in compare(*results).differences] == ["shop.repo"]


def test_everything_is_otherwise(tmp_path: Path) -> None:
    found = way(tmp_path)
    assert found.workers == 3
    assert found.env["TZ"] == "Pacific/Kiritimati"
    assert found.env["PYTHONHASHSEED"] != "4711"
    assert found.env["LC_ALL"] == "C.utf8"
    assert "SECRET" not in found.env
    assert found.env["LD_PRELOAD"] == str(found.clock)
    assert found.prefix[:2] == ("unshare", "--uts")
    assert "0077" in found.prefix
    assert found.prefix[-3:] == ("taskset", "--cpu-list", "0,1")
    assert all(said(found).values())


def test_what_is_so_already_becomes_something_else(tmp_path: Path) -> None:
    there = {**HERE.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.utf8", "PYTHONHASHSEED": "42"}
    found = way(tmp_path, replace(HERE, environ=there, umask=0o077, locales=("tr_TR.utf8",)))
    assert (found.env["TZ"], found.env["LC_ALL"], found.env["PYTHONHASHSEED"]) == ("America/St_Johns", "C", "4711")
    assert said(found)["umask"] == "0022"


def test_what_cannot_be_varied_is_not_claimed(tmp_path: Path) -> None:
    poor = replace(HERE, root=False, cpus=(0,), tools=frozenset({"taskset"}))
    found = way(tmp_path, poor)
    unclaimed = {variation.what: variation.why_not for variation in found.variations if not variation.value}
    assert unclaimed.keys() == {"host name", "processors in use", "clock of elpack", "clock inside the builds"}
    assert all(unclaimed.values())
    assert found.clock is None
    assert "LD_PRELOAD" not in found.env
    assert found.prefix[0] == "sh"


def test_mock_gets_no_clock_and_elpack_keeps_its_own_where_tls_needs_it(tmp_path: Path) -> None:
    found = way(tmp_path, own_clock=False, builds_clock="mock cannot")
    assert found.clock is None
    assert "LD_PRELOAD" not in found.env
    assert said(found)["clock of elpack"] == said(found)["clock inside the builds"] == ""


def test_a_clock_that_no_build_could_load_is_not_claimed(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    workspace.work.mkdir()
    found, arguments = way(tmp_path), (workspace, Places(tmp_path))
    clock = {one.what: one.value for one in varied(found, *arguments, logs)}["clock inside the builds"]
    assert clock == "400 days later"
    (logs / "a.log").write_text("ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded: ignored.\n")
    assert {one.what: one.value for one in varied(found, *arguments, logs)}["clock inside the builds"] == ""


def test_dists_are_nodes_in_every_role_and_unknown_ones_are_all_told() -> None:
    plan = make_plan(Case().inputs())
    assert named_nodes(plan, ["Lib"]) == {package.node for package in plan.packages if package.dist == "lib"}
    assert named_nodes(plan, []) == {package.node for package in plan.packages}
    with pytest.raises(ConfigError) as caught:
        named_nodes(plan, ["lob", "zzz"])
    assert [problem.what for problem in caught.value.problems] == [
        "the plan has no dist lob",
        "the plan has no dist zzz",
    ]
    assert caught.value.problems[0].fix == "did you mean lib?"


def test_a_second_build_that_fails_is_an_error_with_its_log(tmp_path: Path) -> None:
    def failing(command: Command) -> Completed:
        assert command.log is not None
        command.log.write_text("rpmbuild ended with 1\n")
        return Completed(command, 18, "", "", 0.0)

    with pytest.raises(BuildError, match="the second build ended with 18\nrpmbuild ended with 1"):
        build_again(("--target", "el9"), way(tmp_path), Places(tmp_path), tmp_path / "logs" / "x.log", failing)


def test_what_an_earlier_one_left_goes_and_only_one_is_at_work(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    killed = workspace.work / "rebuild" / "rebuild-killed"
    (killed / "work").mkdir(parents=True)
    with places(workspace, None, fine) as found:
        assert not killed.exists()
        with pytest.raises(StoreError, match="is at work"), places(workspace, None, fine):
            pass
        assert found.home.exists()


@pytest.mark.parametrize("kept", [False, True])
def test_nothing_stays_unless_it_is_to_be_looked_at(tmp_path: Path, *, kept: bool) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    with places(workspace, None, fine) as found:
        for folder in (found.first, found.second, found.work):
            folder.mkdir(parents=True)
        if kept:
            keep(found)
    assert found.first.exists() is found.second.exists() is kept
    assert not found.work.exists()

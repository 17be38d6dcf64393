from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from elpack.cli import app
from elpack.errors import StoreError
from elpack.steps.alone import alone, remove
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

_HOLDER = """
import pathlib, sys, time
from elpack.steps.alone import alone
from elpack.workspace import Workspace
work, dist = map(pathlib.Path, sys.argv[1:])
with alone(Workspace(work / "elpack.toml", work, dist)):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


def holder(work: Path, dist: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen((sys.executable, "-c", _HOLDER, str(work), str(dist)), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def enter(workspace: Workspace) -> None:
    with alone(workspace):
        pass


def test_the_second_run_is_told_who_is_at_work_and_a_killed_one_leaves_no_lock(workspace: Workspace) -> None:
    with holder(workspace.work, workspace.dist) as first:
        try:
            with pytest.raises(StoreError, match=f"another run, process {first.pid}, is at work"):
                enter(workspace)
        finally:
            first.kill()
    enter(workspace)


@pytest.mark.parametrize("words", [("wheel", "build"), ("wheel", "test")])
def test_nobody_tries_wheels_while_others_build_them(workspace: Workspace, words: tuple[str, ...]) -> None:
    with holder(workspace.work, workspace.dist) as first:
        try:
            places = "--work", str(workspace.work), "--dist", str(workspace.dist)
            done = CliRunner().invoke(app, [*words, *places])
        finally:
            first.kill()
    assert done.exit_code == StoreError.exit_code
    assert f"another run, process {first.pid}, is at work" in done.stderr


def test_two_work_folders_may_not_write_to_one_folder_of_results(workspace: Workspace, tmp_path: Path) -> None:
    with holder(tmp_path / "other", workspace.dist) as first:
        try:
            with pytest.raises(StoreError, match="another run is writing there"):
                enter(workspace)
        finally:
            first.kill()
    enter(workspace)


def test_what_a_killed_run_left_is_gone(workspace: Workspace) -> None:
    live = ("bwrap/live/tmp1/upper", "cross/sysroots/live/tmp2/upper")
    for name in ("building/build-1/out", "lock/tmp1", *live, ".removed-standin/x", "downloads"):
        (workspace.work / name).mkdir(parents=True)
    old, new = (workspace.work / "sdists" / "demo" / name for name in ("old", "new"))
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (time.time() - 100_000,) * 2)
    with alone(workspace):
        left = {str(path.relative_to(workspace.work)) for path in workspace.work.rglob("*")}
    assert left == {
        "bwrap",
        "bwrap/live",
        "cross",
        "cross/sysroots",
        "cross/sysroots/live",
        "downloads",
        "running",
        "run.lock",
        "sdists",
        "sdists/demo",
        "sdists/demo/new",
    }


def test_a_removal_cut_short_leaves_nothing_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "base"
    (folder / "sub").mkdir(parents=True)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # killed just then
    remove(folder)
    assert not folder.exists()
    monkeypatch.undo()
    folder.mkdir()
    remove(folder)
    assert list(tmp_path.iterdir()) == []

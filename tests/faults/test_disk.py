"""Disks that are full or read-only: the place is named, finished work is kept, and the next run goes on."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.faults.disk import Disk, small_disk
from tests.faults.lane import RPM_ALL
from tests.faults.project import TARGET, Project
from tests.faults.whole import index_agrees, leftovers, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.faults]
MEGABYTE = 1 << 20


@pytest.fixture
def disks(place: Path, finished: Project) -> Iterator[tuple[Project, Disk, Disk]]:
    """Return a project that was built, its work folder and its results on small disks."""
    project = Project(place / "toy")
    with ExitStack() as stack:
        work = stack.enter_context(small_disk(project.work))
        dist = stack.enter_context(small_disk(project.dist))
        # without Debian's tree, which no run looks at; work folder and results cannot share files
        pack = ("tar", "-C", str(finished.folder), "--exclude=debian-*", "--hard-dereference", "-cf", "-", ".")
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
            subprocess.run(("tar", "-C", str(project.folder), "-xf", "-"), stdin=packed.stdout, check=True)
        yield project, work, dist


def refused(project: Project, *arguments: str) -> str:
    said = project.run(*(arguments or RPM_ALL), code=19)
    assert "error: the disk is full" in said
    assert "Traceback" not in said
    return said


def goes_on(project: Project, reference: dict[str, str]) -> None:
    said = project.run(*RPM_ALL)
    assert whole(project.output) == reference, said
    index_agrees(project)
    assert leftovers(project) == []


def test_downloads(disks: tuple[Project, Disk, Disk], reference: dict[str, str]) -> None:
    project, work, _ = disks
    for path in (project.work / "downloads").iterdir():
        path.unlink()
    work.leave(MEGABYTE)
    said = refused(project, "plan", *TARGET)
    assert str(project.work / "downloads") in said
    assert not list((project.work / "downloads").glob(".*")), "no part stays"
    work.resize(4 << 30)
    goes_on(project, reference)


def test_what_is_read_from_archives(disks: tuple[Project, Disk, Disk], reference: dict[str, str]) -> None:
    project, work, _ = disks
    shutil.rmtree(project.work / "facts")
    work.leave(0)
    assert str(project.work) in refused(project, "plan", *TARGET)
    work.resize(4 << 30)
    goes_on(project, reference)


@pytest.mark.parametrize("free", [1, 3, 8, 30, 100])
def test_roots_builds_and_the_store(disks: tuple[Project, Disk, Disk], reference: dict[str, str], free: int) -> None:
    """The less is left, the earlier it is full: the base root, a build root, a build, the store."""
    project, work, _ = disks
    project.forget()
    shutil.rmtree(project.work / "bwrap")
    work.leave(free * MEGABYTE)
    refused(project)
    kept = project.entries()
    work.resize(4 << 30)
    goes_on(project, reference)
    now = project.entries()
    assert {key: now.get(key) for key in kept} == kept, "finished work is not made again"


@pytest.mark.parametrize("free", [0, 20_000, 200_000, 400_000])
def test_results(disks: tuple[Project, Disk, Disk], reference: dict[str, str], free: int) -> None:
    project, _, dist = disks
    dist.leave(free)
    said = refused(project)
    assert str(project.dist) in said
    assert whole(project.output) == reference, "the old results are whole"
    dist.resize(4 << 30)
    goes_on(project, reference)


def test_the_installed_root(disks: tuple[Project, Disk, Disk], reference: dict[str, str]) -> None:
    project, work, _ = disks
    shutil.rmtree(project.work / "roots")
    work.leave(60 * MEGABYTE)
    refused(project, "smoke", *TARGET)
    work.resize(4 << 30)
    goes_on(project, reference)


def test_temporary_files(finished: Project, reference: dict[str, str], place: Path) -> None:
    with small_disk(place / "tmp", 4096) as disk:
        disk.leave(0)
        project = Project(finished.folder, {"TMPDIR": str(disk.place)})
        shutil.rmtree(project.dist)
        run = project.start(*RPM_ALL)
        assert run.wait() in {0, 19}, run.said()
        assert "Traceback" not in run.said()
    goes_on(finished, reference)


@pytest.mark.parametrize("which", ["work", "dist"])
def test_a_read_only_disk(disks: tuple[Project, Disk, Disk], reference: dict[str, str], which: str) -> None:
    project, work, dist = disks
    disk = work if which == "work" else dist
    subprocess.run(("mount", "-o", "remount,ro", str(disk.place)), check=True)
    said = project.run(*RPM_ALL, code=26)
    assert "read-only file system" in said
    assert str(disk.place) in said
    assert "sudo" not in said
    subprocess.run(("mount", "-o", "remount,rw", str(disk.place)), check=True)
    goes_on(project, reference)

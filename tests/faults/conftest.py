"""Faults: how many kills, and from which seed."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.faults.project import TARGET, Project, toy
from tests.faults.whole import whole
from tests.warm import link_trees, unmount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=50, help="how many runs the lane kills")
    parser.addoption("--seed", type=int, default=None, help="repeats the kills of an earlier lane")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for a project, which is gone afterwards, with what a test that failed left mounted there."""
    yield tmp_path
    unmount(tmp_path)
    # pytest keeps what tests leave, and these are gigabytes
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> tuple[Project, dict[str, str]]:
    """Return the small project after a run that nobody disturbed, and the digests of its results."""
    needs("dnf", "bwrap", "mmdebstrap", "rpmbuild", "createrepo_c", "rpm", "losetup")
    project = toy(tmp_path_factory.mktemp("made") / "toy")
    project.run("rpm-all", *TARGET, "--builder", "bwrap")
    return project, whole(project.output)


@pytest.fixture
def finished(made: tuple[Project, dict[str, str]], place: Path) -> Project:
    """Return a copy of the finished small project."""
    copy = Project(place / "finished")
    made_work, shared = made[0].work, ("standin", "downloads")
    # a gigabyte that is never written through stays one
    subprocess.run(
        ("rsync", "-a", *(f"--exclude=/.elpack/{name}" for name in shared), f"{made[0].folder}/", f"{copy.folder}/"),
        check=True,
    )
    link_trees(made_work, copy.work, shared)
    return copy


@pytest.fixture
def reference(made: tuple[Project, dict[str, str]]) -> dict[str, str]:
    """Return the digests of the small project's results."""
    return made[1]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return the seed, which a failure prints."""
    chosen = request.config.getoption("--seed", None)
    found = secrets.randbelow(10**6) if chosen is None else int(chosen)
    print(f"seed {found}: --seed {found} repeats it")  # noqa: T201
    return found

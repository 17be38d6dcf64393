"""The main job on the real input, once for all tests that look at what it left.

The first worker that needs it does it in this checkout, while others wait, or do what needs no release; each further
worker then gets a copy. Without workers there is no copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.wamp import OUTPUT, PROJECT, REPOSITORY, STANDIN, TOOLS, Run, elpack, project_of
from tests.warm import link_trees, unmount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


SHARED = "downloads", "facts", "standin"
OWN = "store", "keys", "signing", "roots", "bwrap"
"""What the main job leaves in a work folder: what is replaced only, and what is changed in place."""


@pytest.fixture(scope="session")
def rpm_all(
    needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, worker_id: str
) -> Iterator[Run]:
    """Run the main job."""
    needs(*TOOLS)
    if worker_id == "master":
        code, text = main_job()
    else:
        said = tmp_path_factory.getbasetemp().parent / "rpm-all.json"
        with said.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not said.exists():
                said.write_text(json.dumps(main_job(int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))))
        code, text = json.loads(said.read_text())
    assert code == 0, text[-6000:]
    yield Run(text, json.loads((OUTPUT / "manifest.json").read_text()))
    if PROJECT != REPOSITORY and not request.session.testsfailed:
        remove(PROJECT)


def main_job(workers: int = 1) -> tuple[int, str]:
    """Run it in this checkout, give each further worker a copy, and return its exit code and all that it said."""
    done = elpack("rpm-all", *STANDIN, project=REPOSITORY)
    if done.returncode == 0:
        for number in range(1, workers):
            copy_release(project_of(f"gw{number}"))
    return done.returncode, done.stdout + done.stderr


def copy_release(project: Path) -> None:
    """Copy this checkout's release, with all that the main job left, but no images."""
    remove(project)
    (project / ".elpack").mkdir(parents=True)
    for path in (REPOSITORY / "elpack.toml", *REPOSITORY.glob("pylock.*.toml")):
        shutil.copy2(path, project)
    for name in ("specs", "containers"):
        shutil.copytree(REPOSITORY / name, project / name)
    link_trees(REPOSITORY / ".elpack", project / ".elpack", SHARED)
    # by one call: what is one file in the store and in the results stays one
    own = [path for path in ("dist", *(f".elpack/{name}" for name in OWN)) if (REPOSITORY / path).exists()]
    subprocess.run(("cp", "-a", "--parents", *own, str(project)), cwd=REPOSITORY, check=True)


def remove(project: Path) -> None:
    """Remove the copy of a worker, with what a session that was killed left mounted there."""
    unmount(project)
    shutil.rmtree(project, ignore_errors=True)


@pytest.fixture(scope="session")
def images(rpm_all: Run, needs: Callable[..., None]) -> dict[str, Any]:
    """Make both flavours of the images out of what the main job left, and return what `--json` says of them."""
    needs("podman")
    done = elpack("image", "build", *STANDIN, "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="session")
def elsewhere(images: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in another folder, with what was fetched and built, but no image and no key."""
    project = tmp_path_factory.mktemp("a-much-longer-name-of-another-folder")
    for name in ("elpack.toml", "pylock.build.toml"):
        shutil.copy2(PROJECT / name, project)
    shutil.copytree(PROJECT / "specs", project / "specs")
    (project / ".elpack").mkdir()
    for name, how in (("downloads", "-al"), ("facts", "-al"), ("standin", "-a"), ("store", "-a")):
        subprocess.run(("cp", how, f"{PROJECT}/.elpack/{name}", f"{project}/.elpack/"), check=True)
    return project

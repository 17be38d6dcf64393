"""The main job on the real input, once for all tests that look at what it left."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.wamp import OUTPUT, PROJECT, STANDIN, TOOLS, Run, elpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def rpm_all(needs: Callable[..., None]) -> Run:
    """Run the main job."""
    needs(*TOOLS)
    done = elpack("rpm-all", *STANDIN)
    assert done.returncode == 0, done.stderr[-6000:]
    return Run(done.stdout + done.stderr, json.loads((OUTPUT / "manifest.json").read_text()))


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

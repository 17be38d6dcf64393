"""Projects that elpack knows nothing of: sdist, `uv lock`, `elpack init`, `elpack rpm-all`, nothing written by hand.

Five projects of PyPI with five build backends' ways: versions from git tags, from Poetry, from setup.py; pure closures
and compiled ones. The smoke test that init writes runs the installed command, or imports the installed library.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv
from tests.conftest import _cached_download

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.foreign]

SHARED = Path(__file__).parents[2] / ".elpack"
TOOLS = ("dnf", "bwrap", "mmdebstrap", "rpmbuild", "createrepo_c", "rpm")
SETTLED = "2026-11-22T00:00:00Z"
"""No file of a lock is newer, so that the same versions are tested on every day."""


@dataclass(frozen=True)
class Project:
    """An sdist of PyPI; `rpm` is its own RPM, `packages` the least number of RPMs, `step` the smoke test of init."""

    name: str
    version: str
    folder: str
    sha256: str
    rpm: str
    step: str
    packages: int = 1
    lock: bool = True

    @property
    def url(self) -> str:
        return f"https://files.pythonhosted.org/packages/{self.folder}/{self.name}-{self.version}.tar.gz"


PROJECTS = (
    Project(  # setuptools-scm; aiohttp, yarl and others are compiled
        "vdirsyncer",
        "0.21.0",
        "79/05/b99b25ab9280fdd56b591ee58bd53b00da3e536c8e07fa714c95276b15a3",
        "b6ac040b880da6758f65c17a369572f62e7323be8d21cd330c26fa134d1b1373",
        "vdirsyncer",
        "help",
        15,
    ),
    Project(  # hatchling with hatch-vcs and a build hook of its own
        "pipx",
        "1.18.4",
        "62/c4/9fcaba0d7930e03fd88059760af9b283003a1846f00997dace328b123b97",
        "7b871c2f00dd3cdbdeade21e76f58ef8c3315a68903ca7c976e20424fae78133",
        "pipx",
        "help",
        5,
    ),
    Project(  # poetry-core; no command is named like the dist
        "commitizen",
        "4.9.1",
        "77/19/927ac5b0eabb9451e2d5bb45b30813915c9a1260713b5b68eeb31358ea23",
        "b076b24657718f7a35b1068f2083bd39b4065d250164a1398d1dac235c51753b",
        "commitizen",
        "help",
        12,
    ),
    Project(  # a pure library, hatch-vcs
        "humanize",
        "4.17.0",
        "d0/a7/5391f6db94bf16289ca63ce2632eef2eba7b9991e701016ac66f04539d47",
        "1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac",
        "python3.11-humanize",
        "import",
    ),
    Project(  # a library in C, with a setup.py and no [project]
        "xxhash",
        "4.1.0",
        "c9/b5/3d11d3830ace56d67ea83136c24385c3b07da5a9bc62b73b0b94ac096da3",
        "c9b288e4c1f5dae54417bc8a05e6f6daf505783d916b4783f4dd2f2e7d5db486",
        "python3.11-xxhash",
        "import",
        lock=False,
    ),
)


def checkout(project: Project, into: Path) -> Path:
    """Unpack the pinned sdist, and give it the stand-in and the downloads that are here already."""
    sdist = _cached_download(project.url, project.sha256)
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(("tar", "--extract", "--file", sdist, "--directory", into), check=True)
    tree = into / f"{project.name}-{project.version}"
    for name in ("standin", "downloads"):
        if (SHARED / name).exists():
            shutil.copytree(SHARED / name, tree / ".elpack" / name, symlinks=True, copy_function=_link)
    if project.lock:
        argv = (uv.find_uv_bin(), "lock", "--quiet", "--python", sys.executable, "--exclude-newer", SETTLED)
        subprocess.run(argv, cwd=tree, check=True)
    return tree


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, destination, follow_symlinks=False)


def elpack(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        (sys.executable, "-m", "elpack", *arguments), cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_from_init_to_a_command_that_runs(project: Project, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs(*TOOLS)
    tree = checkout(project, tmp_path)
    before = {path.name: _digest(path) for path in tree.iterdir() if path.is_file()}

    elpack(tree, "init")
    said = elpack(tree, "rpm-all", "--target", "el9-standin")

    assert f"{project.name} {project.version} for el9-standin" in said
    assert any(line.split()[:2] == [project.step, "ok"] for line in said.splitlines()), said
    found = json.loads((tree / "dist" / "el9-standin" / "x86_64" / "manifest.json").read_text())
    rpms = [entry["name"] for entry in found["artefacts"] if entry["kind"] == "rpm"]
    assert any(name.startswith(f"{project.rpm}-{project.version}") for name in rpms), rpms
    assert len(rpms) >= project.packages
    after = {path.name: _digest(path) for path in tree.iterdir() if path.is_file()}
    assert after.keys() - before.keys() == {"elpack.toml", "pylock.build.toml"}
    assert {name: after[name] for name in before} == before, "the project's own files are as they were"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""The build lock made with the real uv and real backends, in a real sandbox. Needs the index."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from elpack.archives import read_sdist
from elpack.buildlock import build_inputs as inputs_of
from elpack.buildlock import build_lock_stale, build_requirements, read_build_lock
from elpack.errors import BuildLockError
from elpack.model import RemoteFile, SdistFacts, Selection, Sha256
from elpack.naming import dist_name
from elpack.run import run
from elpack.steps.lock import make_build_lock
from elpack.steps.lock_sandbox import LockSandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.model import Target

BACKEND = """
import os, socket, sys

def get_requires_for_build_wheel(config_settings=None):
    assert os.getcwd() == "/build/asker-1.0"
    found = ["setuptools>=61", "pluggy; python_version >= '3'"]
    try:
        socket.create_connection(("1.1.1.1", 443), timeout=2)
        found.append("network-was-there")
    except OSError:
        pass
    try:
        open("/task/written", "w")
        found.append("work-was-writable")
    except OSError:
        pass
    for path in ("/root/.ssh", "/home", "/etc/shadow", "/var"):
        if os.path.exists(path):
            found.append("host-was-visible")
    return found
"""


def write_sdist(folder: Path, backend: str = BACKEND) -> Path:
    """Write an sdist whose backend lies in its own tree (PEP 517 backend-path)."""
    path = folder / "asker-1.0.tar.gz"
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: asker\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = ["packaging"]\nbuild-backend = "asks"\nbackend-path = ["own"]\n',
        "own/asks.py": backend,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"asker-1.0/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body.encode()))
    return path


def sdist_facts(path: Path) -> SdistFacts:
    return read_sdist(path, Sha256(hashlib.sha256(path.read_bytes()).hexdigest()))


def no_fetch(file: RemoteFile) -> Path:
    raise AssertionError(file)


@pytest.fixture
def make(tmp_path: Path, needs: Callable[..., None], el9_targets: list[Target]) -> Callable[..., str]:
    needs("bwrap")
    closures = [(target, Selection(dist_name("app"), ())) for target in el9_targets]

    def made(*paths: Path, work: str = "work") -> str:
        sandbox = LockSandbox.here(run, tmp_path / work, os.environ)
        files = {path.name: path for path in paths}
        return make_build_lock([sdist_facts(path) for path in paths], files, closures, sandbox, no_fetch, own=["wheel"])

    return made


def test_static_own_and_dynamic_requirements_are_locked(
    make: Callable[..., str], tmp_path: Path, el9_targets: list[Target], wamp_sdists: dict[str, Path]
) -> None:
    asker = write_sdist(tmp_path)

    text = make(asker, wamp_sdists["txaio"])

    for target in el9_targets:
        dists = {dist.name: dist for dist in read_build_lock(text, "pylock.build.toml", target)}
        assert {"hatchling", "packaging", "pluggy", "setuptools", "wheel"} <= dists.keys()
        assert "packaging" in dists[dist_name("hatchling")].requires
    requirements = build_requirements(text, "pylock.build.toml")
    assert requirements["asker-1.0.tar.gz"] == ("packaging", 'pluggy; python_version >= "3"', "setuptools>=61")
    assert requirements["txaio-26.6.1.tar.gz"] == ("hatchling",)


def test_the_same_inputs_give_the_same_bytes(
    make: Callable[..., str], tmp_path: Path, el9_targets: list[Target]
) -> None:
    asker = write_sdist(tmp_path)

    first, second = make(asker), make(asker, work="elsewhere")

    assert first == second
    assert str(tmp_path) not in first
    assert "pypi.org" not in first
    closures = [(target, Selection(dist_name("app"), ())) for target in el9_targets]
    assert build_lock_stale(first, inputs_of([sdist_facts(asker)], closures, ["wheel"])) == ()


def test_a_backend_that_raises_is_told(make: Callable[..., str], tmp_path: Path) -> None:
    asker = write_sdist(
        tmp_path, "def get_requires_for_build_wheel(config_settings=None):\n    raise OSError('no zlib')\n"
    )

    with pytest.raises(BuildLockError, match=r"(?s)its backend asks could not say what it needs.*OSError: no zlib"):
        make(asker)


def test_a_backend_without_the_hook_needs_nothing_more(make: Callable[..., str], tmp_path: Path) -> None:
    asker = write_sdist(tmp_path, "")

    assert build_requirements(make(asker), "x") == {"asker-1.0.tar.gz": ("packaging",)}


def test_the_committed_lock_serves_every_target_it_names(el9_targets: list[Target], data: Path) -> None:
    text = (data.parents[1] / "pylock.build.toml").read_text()
    for target in el9_targets:
        if f'"{target.python} {target.arch}"' not in text:
            continue
        dists = {dist.name: dist for dist in read_build_lock(text, "pylock.build.toml", target)}
        assert {"hatchling", "cffi", "setuptools", "installer", "pip", "numpy"} <= dists.keys()
        assert dists[dist_name("cffi")].requires == ("pycparser",)

"""The backend of a checkout, run for real: it packs its own files, and gets nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from elpack.config import FirstParty
from elpack.errors import BuildError, ConfigError
from elpack.naming import dist_name
from elpack.run import run
from elpack.steps.alone import alone
from elpack.steps.checkouts import local_source
from elpack.steps.closure import read_sources
from elpack.steps.lock import INDEX
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.steps.project import Project

SHOP = FirstParty(dist_name("shop"), path="shop")

PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

PACK = """
import io, json, os, pathlib, socket, subprocess, tarfile

def build_sdist(into, settings=None):
    found = json.dumps(look()).encode()
    with tarfile.open(f"{into}/shop-1.0.tar.gz", "w:gz") as archive:
        about = b"Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n"
        for name, content in {"PKG-INFO": about, "found": found}.items():
            member = tarfile.TarInfo(f"shop-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "shop-1.0.tar.gz"
"""

SPY = """
def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True

def look():
    paths = [%(secret)r, "/etc/shadow", "/root/.ssh", %(keys)r, "/home"]
    return {
        "files": [path for path in paths if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path))],
        "environment": sorted(name for name in os.environ if "SECRET" in name or "SOCK" in name),
        "connects": connects(%(port)d),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]) > 10,
    }
"""


@pytest.fixture
def workspace(tmp_path: Path, needs: Callable[..., None]) -> Workspace:
    needs("bwrap")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pyproject.toml").write_text(PYPROJECT)
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


@pytest.fixture
def server() -> Iterator[int]:
    """Listen on loopback, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def found_by(workspace: Workspace) -> dict[str, object]:
    made = local_source(SHOP, workspace, run)
    assert made is not None
    with tarfile.open(made[1]) as archive:
        member = archive.extractfile("shop-1.0/found")
        assert member is not None
        found: dict[str, object] = json.load(member)
        return found


def test_a_backend_that_spies_finds_nothing(
    workspace: Workspace, tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELPACK_TEST_SECRET", "1")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    keys = workspace.work / "keys"
    keys.mkdir(parents=True)
    (keys / "private").write_text("secret")
    spy = SPY % {"secret": str(secret), "keys": str(keys), "port": server}
    (tmp_path / "shop" / "backend.py").write_text(PACK + spy)
    assert found_by(workspace) == {"files": [], "environment": [], "connects": False, "processes": False}


def test_the_spy_would_see_what_is_there(tmp_path: Path, server: int) -> None:
    """What the test above finds absent is found outside of the sandbox."""
    (tmp_path / "secret").write_text("secret")
    code = PACK + SPY % {"secret": str(tmp_path / "secret"), "keys": "/nowhere", "port": server} + "\nprint(look())"
    environment = {**os.environ, "ELPACK_TEST_SECRET": "1"}
    command = ("python3", "-c", code)
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert str(tmp_path / "secret") in said
    assert "ELPACK_TEST_SECRET" in said
    assert "'connects': True" in said


def test_elpack_s_own_folders_in_a_checkout_below_its_repository_are_hidden(workspace: Workspace) -> None:
    """Such a checkout is not copied: its version may come from the repository around it."""
    tree = workspace.home / "shop"
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "1"), ("tag", "v7")):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(("git", *identity, *command), cwd=workspace.home, check=True, capture_output=True)
    inside = Workspace(tree / "elpack.toml", tree / ".elpack", tree / "dist")
    (inside.work / "keys").mkdir(parents=True)
    (inside.work / "keys" / "private").write_text("secret")
    look = """
def look():
    tag = subprocess.run(("git", "describe", "--tags"), capture_output=True, text=True)
    return {"tag": tag.stdout + tag.stderr, "work": os.listdir(".elpack")}
"""
    (tree / "backend.py").write_text(PACK + look)
    made = local_source(FirstParty(dist_name("shop"), path="."), inside, run)
    assert made is not None
    with tarfile.open(made[1]) as archive:
        member = archive.extractfile("shop-1.0/found")
        assert member is not None
        found = json.load(member)
    assert found["tag"] == "v7\n"
    assert "keys" not in found["work"]


def test_another_run_that_tidies_up_meanwhile_ends_no_backend(workspace: Workspace, tmp_path: Path) -> None:
    look = "import time\n\ndef look():\n    time.sleep(2)\n    return {}\n"
    (tmp_path / "shop" / "backend.py").write_text(PACK + look)
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(found_by, workspace)
        while not making.done():
            with alone(workspace):
                time.sleep(0.05)
        assert making.result() == {}


def test_a_checkout_of_another_project_is_none(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "shop" / "backend.py").write_text(PACK + "def look():\n    return {}\n")
    release = SimpleNamespace(first_party=(FirstParty(dist_name("stall"), path="shop"),), index=INDEX)
    with pytest.raises(ConfigError, match=r"shop is of another project: it gives shop-1\.0\.tar\.gz"):
        read_sources(cast("Project", SimpleNamespace(release=release)), workspace)


def test_a_link_is_no_sdist(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "shop" / "backend.py").write_text(
        "import os\n\ndef build_sdist(into, settings=None):\n"
        "    print('it ran')\n    os.symlink('/etc/passwd', f'{into}/shop-1.0.tar.gz')\n    return 'shop-1.0.tar.gz'\n"
    )
    with pytest.raises(BuildError, match="no sdist can be made of the checkout"):
        local_source(SHOP, workspace, run)


def test_a_backend_that_is_no_object_is_refused_before_anything_runs(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "shop" / "pyproject.toml").write_text(PYPROJECT.replace('"backend"', '"os; x"'))
    with pytest.raises(Exception, match="which is no Python object"):
        local_source(SHOP, workspace, run)
    assert not (workspace.work / "sandbox").exists()

"""Flavour pypy on a small application with a CFFI extension: compiled for PyPy, unpacked, and run by it."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from elpack.errors import BuildLockError
from elpack.pipeline import carry_out
from elpack.run import run
from elpack.session import Options, Session, Unseen
from elpack.steps.alone import alone
from elpack.steps.buildlock import renew_build_lock
from elpack.steps.images.pypy import pypy_session, with_root
from elpack.steps.images.pypy_root import build_root, image_members
from elpack.steps.images.tars import write_layer
from elpack.steps.images.uv_sandbox import uv_program
from elpack.steps.images.uv_tree import uv_layers
from elpack.steps.project import read_project
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.wheels, pytest.mark.root]

RELEASE = """\
[release]
name = "ping"
date = 2026-11-20
packager = "A <a@example.org>"
[application]
name = "ping"
[first-party]
ping = { path = "ping" }
[targets.el9-standin]
python = "3.11"
[images]
flavours = ["pypy"]
[[images.pypy.build-env]]
dist = "ping"
name = "CFLAGS"
value = "-DANSWER=42"
reason = "shows that a build sees it"
"""
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77", "cffi>=1.17"]
build-backend = "setuptools.build_meta"
[project]
name = "ping"
version = "1.0"
license = "MIT"
requires-python = ">=3.11"
dependencies = ["six; platform_python_implementation == 'PyPy'", "msgpack; platform_python_implementation == 'CPython'"]
[project.scripts]
ping = "ping:main"
"""
SETUP = 'from setuptools import setup\nsetup(py_modules=["ping"], cffi_modules=["compile_it.py:ffi"])\n'
COMPILE = """\
import cffi
ffi = cffi.FFI()
ffi.cdef("int answer(void);")
ffi.set_source("_ping", "int answer(void) { return ANSWER; }")
"""
CODE = """\
import platform
def main():
    import _ping, six
    print(platform.python_implementation(), _ping.lib.answer())
"""
FILES = {
    "elpack.toml": RELEASE,
    "ping/pyproject.toml": PYPROJECT,
    "ping/setup.py": SETUP,
    "ping/compile_it.py": COMPILE,
    "ping/ping.py": CODE,
    "ping/MANIFEST.in": "include compile_it.py\n",
    "ping/LICENSE": "MIT\n",
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Session:
    """Return a planned session of CPython's, of an application that is locked for both."""
    needs("bwrap", "mmdebstrap", "dpkg-deb", "git")
    home = tmp_path_factory.mktemp("pypy")
    for name, text in FILES.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    subprocess.run((uv_program(), "lock", "--quiet", "--project", home / "ping"), check=True)
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    with alone(workspace):
        renew_build_lock(read_project(workspace), workspace, run)
    found = Session(workspace, Options(target="el9-standin"), Unseen())
    carry_out(found, "plan")
    with pytest.raises(BuildLockError, match=r"pylock\.pypy\.toml"):
        pypy_session(found)
    with alone(workspace):
        renew_build_lock(found.project, workspace, run, pypy=True)
    return found


def test_the_tree_is_pypys_and_runs(session: Session, tmp_path: Path) -> None:
    mine = with_root(pypy_session(session), lambda _: None)
    assert {"six", "ping"} <= mine.plan.versions().keys()
    assert "msgpack" not in mine.plan.versions()
    with alone(session.workspace):
        layers = uv_layers(mine, tmp_path / "layers")
    root = tmp_path / "root"
    debian = build_root(mine.target, mine.workspace, run)
    for layer in (write_layer("base", image_members(debian, mine.target.arch), tmp_path), *layers):
        with tarfile.open(layer.tar) as archive:
            archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made just now
    site = root / "opt/ping/lib/pypy3.11/site-packages"
    assert [path.name for path in site.glob("_ping.*.so")] == ["_ping.pypy311-pp73-x86_64-linux-gnu.so"]
    assert (root / "opt/ping/bin/python").readlink().name == "pypy3.11"
    assert list(site.glob("__pycache__/ping.pypy311.pyc"))
    assert (root / "var/lib/dpkg/status.d/pypy3").read_text().startswith("Package: pypy3\n")
    words = ("bwrap", "--bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--clearenv", "/opt/ping/bin/ping")
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert said == "PyPy 42\n"


def test_two_works_give_the_same_base(session: Session, tmp_path: Path) -> None:
    target = pypy_session(session).target
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        root = build_root(target, Workspace(tmp_path / "x", tmp_path / name / "work", tmp_path), run)
        found.append((root.digest, write_layer("base", image_members(root, target.arch), tmp_path / name).sha256))
    assert found[0] == found[1]

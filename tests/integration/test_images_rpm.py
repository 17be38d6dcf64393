"""The root of flavour `rpm` of the real release: same bytes elsewhere, nothing stale, readable for rpm."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.integration.wamp import OUTPUT, PROJECT, Run

from elpack.builders import Repository
from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.run import run
from elpack.session import Options, Session
from elpack.steps.images.rpm_root import rpm_layers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.images.model import Layer

pytestmark = [pytest.mark.integration, pytest.mark.root]

# run by the target's own Python: what it would compile anew, it says
STALE = """
import importlib.util, os, struct
for folder, _, files in os.walk("/opt/crossbar/lib"):
    for source in (os.path.join(folder, name) for name in files if name.endswith(".py")):
        compiled = importlib.util.cache_from_source(source)
        if os.path.exists(compiled):
            magic, flags, mtime, size = struct.unpack("<4sIII", open(compiled, "rb").read(16))
            found = os.stat(source)
            fresh = magic == importlib.util.MAGIC_NUMBER and (mtime, size) == (int(found.st_mtime), found.st_size)
            print("fresh" if fresh else source)
"""


def made(home: Path) -> tuple[Layer, ...]:
    workspace = Workspace(PROJECT / "elpack.toml", PROJECT / ".elpack", OUTPUT.parents[1])
    session = Session(workspace, Options(target="el9-standin"), Terminal(Console(quiet=True), quiet=True))
    carry_out(session, "base")
    return rpm_layers(
        session.project.release,
        session.plan,
        session.base.repositories,
        Repository("crossbar", str(OUTPUT / "repo"), gpgkey=(OUTPUT / "RPM-GPG-KEY-crossbar").as_uri()),
        home / "context",
        workspace=Workspace(PROJECT / "elpack.toml", home / "work", home / "dist"),
        logs=home / "logs",
        runner=run,
        progress=lambda _: None,
    )


def test_the_root_is_the_same_elsewhere_and_nothing_in_it_is_stale(rpm_all: Run, tmp_path: Path) -> None:
    layers = made(tmp_path / "here")
    assert [layer.sha256 for layer in made(tmp_path / "else" / "where")] == [layer.sha256 for layer in layers]
    root = tmp_path / "root"
    root.mkdir()
    for layer in layers:
        subprocess.run(("tar", "-C", root, "--same-owner", "-xpf", layer.tar), check=True)
    python = ("chroot", root, "/usr/bin/python3.11", "-c", STALE)
    said = subprocess.run(python, stdout=-1, text=True, check=True).stdout.split("\n")
    assert set(said) == {"fresh", ""}
    assert len(said) > 5000
    database = ("rpm", "--root", root, "--dbpath", "/var/lib/rpm")
    assert len(subprocess.run((*database, "-qa"), stdout=-1, text=True, check=True).stdout.split()) > 200
    changed = subprocess.run((*database, "-Va"), stdout=-1, text=True, check=False).stdout.splitlines()
    assert {line.split()[0] for line in changed if not line.split()[-1].startswith("/etc/")} == {".M......."}
    allowed = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/usr/bin/", "/usr/sbin/")
    assert all(line.split()[-1].startswith(allowed) for line in changed)
    assert not any((root / "usr/bin" / name).exists() for name in ("dnf", "dnf-3", "yum", "microdnf"))

"""Packages of the real release for ARM64, from this machine's own side and from emulated roots: the same bytes."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import PROJECT, TOOLS

from elpack.pipeline import carry_out
from elpack.plan.joint import Making
from elpack.plan.model import NodeId
from elpack.session import Options, Session, Unseen
from elpack.steps.sides import build_of, makings, sides_for
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.arm64, pytest.mark.root]

# compiled from its sdist by hatchling, with all that this takes; and a wheel with machine code
WANTED = (NodeId("stack/txaio"), NodeId("stack/markupsafe"))


def session_in(folder: Path, arch: str) -> Session:
    """Return a session for the other architecture whose store is empty; its downloads and the stand-in are shared."""
    folder.mkdir()
    for name in ("elpack.toml", "pylock.build.toml"):
        shutil.copy2(PROJECT / name, folder)
    shutil.copytree(PROJECT / "specs", folder / "specs")
    work = folder / ".elpack"
    work.mkdir()
    for name in ("downloads", "facts"):
        if (PROJECT / ".elpack" / name).exists():
            subprocess.run(("cp", "-al", f"{PROJECT}/.elpack/{name}", f"{work}/"), check=True)
    (PROJECT / ".elpack" / "standin").mkdir(parents=True, exist_ok=True)
    (work / "standin").symlink_to(PROJECT / ".elpack" / "standin")
    workspace = Workspace(folder / "elpack.toml", work, folder / "dist")
    session = Session(workspace, Options("el9-standin", arch, builder="bwrap"), Unseen())
    carry_out(session, "base")
    return session


def test_noarch_packages_and_wheels_have_the_same_bytes_from_either_side(
    needs: Callable[..., None], emulated: str, tmp_path: Path
) -> None:
    needs(*TOOLS)
    joint, alone = (session_in(tmp_path / name, emulated) for name in ("joint", "alone"))
    assert [makings(joint)[node] for node in WANTED] == [Making.SHARED, Making.REPACKAGED]
    found = []
    for sessions in (sides_for(joint), [alone]):
        sided = build_of(sessions, {emulated: WANTED})
        results = sided.results(emulated, sided.build.run())
        assert set(WANTED) <= set(results)
        # the source RPMs, too
        found.append({file.path.name: file.sha256 for one in results.values() for file in one.entry.files})
    assert found[0] == found[1]

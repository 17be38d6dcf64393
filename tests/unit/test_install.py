"""When an installation that passed counts, and what may stay behind after removal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from elpack.config import parse_release
from elpack.model import Layout
from elpack.steps.install import _may_stay, install_key
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import Release

RELEASE = """
[release]
name = "shop"
date = 2026-11-01
packager = "A Packager <a@example.org>"
[application]
name = "shop"
[first-party.shop]
version = "1.0"
[targets.el9]
[service]
name = "shopd"
description = "A shop"
user = "shop"
exec = ["/opt/shop/bin/shop"]
state-directory = "shop-data"
[smoke]
files = "smoke"
[[smoke.step]]
name = "version"
run = ["shop", "--version"]
"""


@pytest.fixture
def release() -> Release:
    return parse_release(RELEASE)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "client.py").write_text("print(1)\n")
    (tmp_path / "repo" / "repodata").mkdir(parents=True)
    (tmp_path / "repo" / "repodata" / "repomd.xml").write_text("<repomd/>")
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


def key(release: Release, workspace: Workspace, base: str = "base", layout: Layout = Layout.STACK) -> str:
    return install_key(release, layout, base, workspace.home / "repo", workspace)


def test_the_same_set_has_the_same_key(release: Release, workspace: Workspace) -> None:
    assert key(release, workspace) == key(release, workspace)


def test_whatever_the_smoke_test_sees_changes_the_key(release: Release, workspace: Workspace) -> None:
    repository = workspace.home / "repo"
    keys = {
        key(release, workspace),
        key(release, workspace, "other"),
        key(release, workspace, layout=Layout.BUNDLE),
    }
    steps = (replace(release.smoke.steps[0], expect=("1.0",)),)
    keys.add(key(replace(release, smoke=replace(release.smoke, steps=steps)), workspace))
    (workspace.home / "smoke" / "client.py").write_text("print(2)\n")
    keys.add(key(release, workspace))
    (repository / "repodata" / "repomd.xml").write_text("<repomd>new</repomd>")
    keys.add(key(release, workspace))
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("/etc/shopd/config.json", True),
        ("/var/lib/shop-data", True),
        ("/var/lib/shop-data/state", True),
        ("/etc/other.conf.rpmsave", True),
        ("/var/lib/shopd/state", False),
        ("/opt/shop/bin/shop", False),
        ("/etc/shopd.conf", False),
    ],
)
def test_only_configuration_and_state_may_stay(release: Release, path: str, *, stays: bool) -> None:
    assert _may_stay(path, release) is stays

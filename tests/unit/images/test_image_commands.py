"""The commands that make images: what they refuse before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from elpack.cli import app
from elpack.errors import EngineError, PlanError
from elpack.steps.committed import differences

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("command", ["build", "local"])
def test_a_missing_podman_is_told_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    monkeypatch.setattr("elpack.engine.connect.shutil.which", lambda *_, **__: None)
    done = CliRunner().invoke(app, ["image", command, "--file", str(tmp_path / "elpack.toml")])
    assert done.exit_code == EngineError.exit_code
    assert "podman is not installed" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("--flavour", "deb"), ("--mode", "cloud")])
def test_unknown_flavours_and_modes_are_wrong_usage(words: tuple[str, str]) -> None:
    assert CliRunner().invoke(app, ["image", "build", *words]).exit_code == 2


def test_every_way_to_differ_from_what_is_committed(tmp_path: Path) -> None:
    old = {"same": "1\n", "other": "1\n", "gone": "1\n", "ends": "1\r\n"}
    new = {"same": "1\n", "other": "2\n", "more": "1\n", "ends": "1\n"}
    found = list(differences(old, new, tmp_path, "the committed file", "elpack image files"))
    assert [one.where.rpartition("/")[2] for one in found] == ["ends", "gone", "more", "other"]
    assert "only its line ends differ" in found[0].what
    assert "-1\n+2" in found[3].what
    assert PlanError(*found).problems == tuple(found)

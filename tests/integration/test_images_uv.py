"""The tree of flavour `uv` of the real release: that of the stack's RPMs, and the same from another folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.integration.wamp import DISTS, OUTPUT, PROJECT, Run

from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.steps.images.compare import Reason, compare_trees
from elpack.steps.images.uv_tree import uv_layers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.root]


def test_the_tree_is_that_of_the_rpms(rpm_all: Run, tmp_path: Path) -> None:
    workspace = Workspace(PROJECT / "elpack.toml", PROJECT / ".elpack", OUTPUT.parents[1])
    session = Session(workspace, Options(target="el9-standin"), Terminal(Console(quiet=True), quiet=True))
    carry_out(session, "build")
    layers = uv_layers(session, tmp_path / "layers")
    (tmp_path / "work").mkdir()
    found = compare_trees(session, layers, tmp_path / "work")
    assert found[Reason.RECORD] == found[Reason.INSTALLER] == DISTS
    assert found[Reason.DROPPED] == 1
    assert found[Reason.COMMAND] > 30
    assert found.keys() == set(Reason)

"""The main job on the real input, once for all tests that look at what it left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.wamp import OUTPUT, STANDIN, TOOLS, Run, elpack

if TYPE_CHECKING:
    from collections.abc import Callable


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

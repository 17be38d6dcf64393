"""Faults: how many kills, and from which seed."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=50, help="how many runs the lane kills")
    parser.addoption("--seed", type=int, default=None, help="repeats the kills of an earlier lane")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for a project; what a test that failed left mounted there is unmounted."""
    yield tmp_path
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        if line.split()[4].startswith(f"{tmp_path}/"):
            subprocess.run(("umount", "--lazy", line.split()[4]), check=False)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return the seed, which a failure prints."""
    chosen = request.config.getoption("--seed", None)
    found = secrets.randbelow(10**6) if chosen is None else int(chosen)
    print(f"seed {found}: --seed {found} repeats it")  # noqa: T201
    return found

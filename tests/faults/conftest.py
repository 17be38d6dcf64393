"""Faults: how many kills, and from which seed."""

from __future__ import annotations

import secrets

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=50, help="how many runs the lane kills")
    parser.addoption("--seed", type=int, default=None, help="repeats the kills of an earlier lane")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return the seed, which a failure prints."""
    chosen = request.config.getoption("--seed", None)
    found = secrets.randbelow(10**6) if chosen is None else int(chosen)
    print(f"seed {found}: --seed {found} repeats it")  # noqa: T201
    return found

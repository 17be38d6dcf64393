"""Golden specs: pytest tests/golden --update writes them anew; then read the diff before you commit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with a golden file, or writes the file with --update."""

    def compare(name: str, text: str) -> None:
        path = HERE / "specs" / name
        # without pytest tests/golden on the command line, this file is read too late to add the option
        if request.config.getoption("--update", default=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{name} is new: pytest tests/golden --update"
        assert text == path.read_text(), "pytest tests/golden --update, then read the diff"

    return compare

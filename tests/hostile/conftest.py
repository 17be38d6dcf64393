"""Fixtures of all hostile cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.corpus import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile.corpus import Case, Verdict


@pytest.fixture
def judged(tmp_path: Path, needs: Callable[..., None]) -> Callable[[Case], Verdict]:
    """Return a function that judges a case."""
    needs("rpmspec")
    return lambda case: judge(case, tmp_path)

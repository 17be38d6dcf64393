"""The corpus of hostile texts, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.text import metadata, names, release, requirements

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.corpus import Case, Verdict

CASES = (*metadata.CASES, *requirements.CASES, *names.CASES, *release.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_gets_through(case: Case, judged: Callable[[Case], Verdict]) -> None:
    judged(case)

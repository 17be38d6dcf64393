"""The corpus of hostile archives, locks and release files, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.archives import sdists, wheels
from tests.hostile.corpus import judge
from tests.hostile.locks import uv_locks
from tests.hostile.releases import release_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.corpus import Case

CASES = (*wheels.CASES, *sdists.CASES, *uv_locks.CASES, *release_files.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_gets_through(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 500

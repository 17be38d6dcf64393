"""The corpus of hostile archives, locks and release files, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hostile.archives import sdists, wheels
from tests.hostile.corpus import judge
from tests.hostile.locks import uv_locks
from tests.hostile.releases import release_files
from tests.hostile.text.test_text import CASES as TEXTS

if TYPE_CHECKING:
    from tests.hostile.corpus import Case

REPOSITORY = Path(__file__).parents[2]
CASES = (*wheels.CASES, *sdists.CASES, *uv_locks.CASES, *release_files.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_gets_through(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)


def test_the_corpus_is_as_large_as_the_documentation_says() -> None:
    said = (REPOSITORY / "docs" / "explanation" / "hostile-input.md").read_text()
    every = (*TEXTS, *CASES)
    assert len({case.id for case in every}) == len(every)
    for number, what in ((len(TEXTS), "texts"), (len(CASES), "files"), (len(wheels.CASES), "wheels")):
        assert f"{number} {what}" in said
    for cases, what in ((sdists, "sdists"), (uv_locks, "locks"), (release_files, "release files")):
        assert f"{len(cases.CASES)} {what}" in said

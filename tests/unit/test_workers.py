"""How many builds run at a time when nobody says it."""

from __future__ import annotations

import pytest

from elpack.steps.sides import default_workers

GIGABYTE = 1 << 30


@pytest.mark.parametrize(
    ("cores", "gigabytes", "workers"),
    [(2, 24, 2), (8, 24, 8), (8, 5, 2), (4, 1, 1), (None, 24, 1)],
)
def test_cores_and_memory_bound_the_builds(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, gigabytes: int, workers: int
) -> None:
    page = 4096
    sizes = {"SC_PAGE_SIZE": page, "SC_PHYS_PAGES": gigabytes * GIGABYTE // page}
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr("os.sysconf", sizes.__getitem__)
    assert default_workers() == workers

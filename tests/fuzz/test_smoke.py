"""Each fuzz target takes what it is fed with; `just fuzz` is what looks for more."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.fuzz.strategies import inputs
from tests.fuzz.targets import TARGETS, Fuzzed


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_sound(name: str) -> None:
    first, *others = TARGETS[name].seeds
    TARGETS[name].run(first)
    for data in others:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_some_inputs_are_answered(name: str) -> None:
    @seed(1)
    @settings(
        max_examples=15, phases=(Phase.generate,), database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(inputs(TARGETS[name]))
    def attempt(data: bytes) -> None:
        TARGETS[name](data)

    attempt()


def test_what_is_no_answer_is_found() -> None:
    from tests.fuzz.__main__ import by_chance

    broken = Fuzzed(lambda data: data.index(b"x"), (b"x",))
    _, finding = by_chance(broken, 5)
    assert "ValueError" in finding

"""How sound inputs become unsound ones: words of the format, chance, and values of other types."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import tomllib
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from tests.fuzz.seeds import WORDS

if TYPE_CHECKING:
    from tests.fuzz.targets import Fuzzed

_OTHER: tuple[object, ...] = (
    *(5, -1, True, 1.5, math.inf, "", "x", "\0", "../x", "a\nb", [], {}, [5], [""], ["x", 5], [[]], [{}], {"x": 5}),
    *({"": {}}, dt.date(1979, 1, 1), dt.datetime(1979, 1, 1), dt.time(1), "9" * 3000, "%(x)", [{"x": []}]),  # noqa: DTZ001
)


@st.composite
def changed_bytes(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw a seed with some pieces of it removed, doubled, moved or replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from((0, 0, 1, 1, 2, 4, 8, 30, 512))))
        new = draw(st.one_of(st.sampled_from(WORDS), st.binary(max_size=12), st.just(bytes(data[at:end]) * 2)))
        data[at:end] = new
    return bytes(data)


@st.composite
def changed_tables(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw a TOML seed in which some values have become something else."""
    root = tomllib.loads(draw(st.sampled_from(seeds)).decode())
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = root
        while holder:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys))
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                change = draw(st.sampled_from(("other", "other", "drop", "name")))
                if change == "drop":
                    del holder[key]
                elif change == "name" and isinstance(holder, dict):
                    holder[draw(st.sampled_from(("", "x", "a\nb", "\0", "../x", "%(x)")))] = holder.pop(key)
                else:
                    holder[key] = copy.deepcopy(draw(st.sampled_from(_OTHER)))
                break
            holder = inner
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in root.items()).encode()


def inputs(target: Fuzzed) -> st.SearchStrategy[bytes]:
    """Return what a target is fed with."""
    whole = st.one_of(changed_bytes(target.seeds), st.binary(max_size=200))
    return st.one_of(whole, changed_tables(target.seeds)) if all(map(_is_toml, target.seeds)) else whole


def _is_toml(data: bytes) -> bool:
    try:
        return bool(tomllib.loads(data.decode()))
    except ValueError:
        return False


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)

"""Strict reading of TOML tables: typed getters, "did you mean", every mistake collected with its key."""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from elpack import strict
from elpack.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_NAMES = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "an array",
    dict: "a table",
    dt.date: "a date such as 2026-11-01",
}


@dataclass(slots=True)
class Table:
    """One TOML table that knows its file and key, and gathers problems instead of stopping at the first.

    Getters return a stand-in value after noting a problem, so that reading goes on; `done` then reports
    keys that nobody asked for. The caller raises when `problems` is not empty.
    """

    file: str
    values: dict[str, Any]
    key: str = ""
    problems: list[Problem] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def where(self, key: str = "") -> str:
        """Return ``file: table.key`` for messages."""
        path = ".".join(part for part in (self.key, key) if part)
        return f"{self.file}: {path}" if path else self.file

    def problem(self, key: str, what: str, fix: str = "", why: str = "") -> None:
        """Note a mistake at a key of this table."""
        self.problems.append(Problem(what, where=self.where(key), why=why, fix=fix))

    def has(self, key: str) -> bool:
        """Tell whether the key is written, which also marks it as known."""
        self._asked.add(key)
        return key in self.values

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Return the value, or the default; without a default the key is required."""
        self._asked.add(key)
        if key not in self.values:
            if default is None:
                self.problem(key, "this key is required", fix=f"add {key} = …")
                return _empty(kind)
            return default
        value = self.values[key]
        # exactly this type: to isinstance, true is an integer and a date with a time is a date
        if type(value) is kind:
            return value
        self.problem(key, f"expected {_NAMES[kind]}, found {_kind_of(value)}")
        return _empty(kind)

    def parsed(self, key: str, parse: Callable[[str], T], default: str | None = None) -> T | None:
        """Return the string parsed; a ValueError becomes a problem at this key, and None is returned."""
        before = len(self.problems)
        text = self.get(key, str, default)
        if len(self.problems) > before:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problem(key, str(error))
            return None

    def strings(self, key: str) -> tuple[str, ...]:
        """Return an array of strings, empty when it is not written."""
        values = self.get(key, list, [])
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problem(f"{key}[{index}]", f"expected a string, found {_kind_of(value)}")
        return tuple(value for value in values if isinstance(value, str))

    def table(self, key: str) -> Table:
        """Return a table inside this one; an empty one when it is not written."""
        return self._child(key, self.get(key, dict, {}))

    def tables(self, key: str) -> Iterator[Table]:
        """Yield the tables of an array of tables."""
        for index, value in enumerate(self.get(key, list, [])):
            if isinstance(value, dict):
                yield self._child(f"{key}[{index}]", value)
            else:
                self.problem(f"{key}[{index}]", f"expected a table, found {_kind_of(value)}")

    def named_tables(self) -> Iterator[tuple[str, Table]]:
        """Yield every table inside this one by its name."""
        for name in list(self.values):
            yield name, self.table(name)

    def done(self) -> None:
        """Note every key that was written and never asked for."""
        known = sorted(self._asked)
        for key in sorted(self.values.keys() - self._asked):
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            self.problem(key, "unknown key", fix=hint)

    def _child(self, key: str, values: dict[str, Any]) -> Table:
        path = f"{self.key}.{key}" if self.key else key
        return Table(self.file, values, path, self.problems)


def parse_toml(file: str, text: str) -> Table:
    """Return the root table. Raises ValueError with line and column when the text is no TOML."""
    return Table(file, strict.toml(text))


def _kind_of(value: object) -> str:
    return _NAMES.get(type(value), type(value).__name__)


def _empty(kind: type[T]) -> T:
    return dt.date(1970, 1, 1) if kind is dt.date else kind()  # type: ignore[return-value]

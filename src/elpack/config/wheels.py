"""The [wheels] table of the release file: for which interpreters, architectures and platforms wheels are built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from elpack.config.values import each, one_of
from elpack.model import ARCHES
from elpack.naming import dist_name
from elpack.wheels.model import INTERPRETERS, POLICIES, Implementation, Variable, Wheels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.tables import Table

T = TypeVar("T")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# cibuildwheel reads values as bash does
_VALUE = re.compile(r"[A-Za-z0-9._:/=,+-]*\Z")
# what elpack itself sets, for the sake of reproducible builds without network
_OURS = re.compile(r"(PIP_|ELPACK_|SOURCE_DATE_EPOCH\Z|PATH\Z|CIBUILDWHEEL|AUDITWHEEL_)")


def read_wheels(table: Table) -> Wheels:
    """Return for whom wheels are built; mistakes are noted at their keys."""
    default = Wheels()
    tags = _some(table, "interpreters", tuple(INTERPRETERS), (one.tag for one in default.interpreters))
    wheels = Wheels(
        packages=tuple(dict.fromkeys(each(table, "packages", dist_name))),
        interpreters=tuple(INTERPRETERS[tag] for tag in tags),
        arches=_some(table, "arches", ARCHES, default.arches),
        policies=_some(table, "policies", tuple(POLICIES), default.policies),
        musllinux=table.get("musllinux", bool, False),
        environment=tuple(_variable(one) for one in table.tables("environment")),
    )
    table.done()
    return wheels


def _some(table: Table, key: str, known: tuple[str, ...], default: Iterable[str]) -> tuple[str, ...]:
    """Return some of the known words, at least one, each once and in the order written."""
    if not table.has(key):
        return tuple(default)
    before = len(table.problems)
    found = tuple(dict.fromkeys(each(table, key, one_of(known))))
    if not found and len(table.problems) == before:
        table.problem(key, "expected at least one", fix=f"some of: {', '.join(known)}")
    return found


def _variable(table: Table) -> Variable:
    name, value = table.get("name", str), table.get("value", str)
    if name and not _VARIABLE.match(name):
        table.problem("name", "expected letters, digits and _")
    elif _OURS.match(name):
        table.problem("name", f"{name} is elpack's to set")
    if not _VALUE.match(value):
        table.problem("value", "expected letters, digits and . _ : / = , + - only: it is read as bash would")
    reason = table.get("reason", str)
    if "reason" in table.values and not (reason.strip() and reason.isprintable()):
        table.problem("reason", "expected one line that says what it is for")
    variable = Variable(
        name,
        value,
        reason,
        frozenset(each(table, "packages", dist_name)),
        frozenset(Implementation(text) for text in each(table, "implementations", one_of(tuple(Implementation)))),
    )
    table.done()
    return variable

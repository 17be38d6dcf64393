"""The rule about machine code in wheels: it is for the machine that the wheel's name promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.errors import Problem
from elpack.model import WheelFacts
from elpack.plan.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.model import MachineCode
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan

_LOADED = re.compile(r"\.(?:cpython-|pypy|abi3\.)[^/]*\Z|(?:\A|/)[^/]+\.libs/[^/]+\Z")
"""Names by which Python takes a file for an extension module of its own, and places of libraries that these need."""
_NAMED = 3


def wrong_machine(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A wheel that is named for the target's architecture, and holds code that a processor of it does not run.

    Either all of its machine code is of other machines, or a file that Python would load is. Code of other machines
    beside its own is a tool's data, as debuggers have it; and a wheel for any platform promises nothing. Compile the
    dist from its sdist, lock another version, and tell its authors.
    """
    for package in plan.packages:
        if not package.sources or package.role in (Role.MACROS, Role.RUNTIME, Role.BUNDLE):
            continue
        facts = inputs.facts[package.sources[0].sha256]
        if not isinstance(facts, WheelFacts) or facts.filename.endswith("-any.whl"):
            continue
        if wrong := _wrong(facts.code, plan.target.arch):
            yield Problem(
                f"its name says {plan.target.arch}, and it holds machine code for {_machines(wrong)}: {_named(wrong)}",
                where=f"{package.dist} {package.upstream_version}: {facts.filename}",
                why="the wheel was built on another machine than its name says, or renamed",
                fix=f'{package.dist} = "sdist" under [policy] in elpack.toml, or lock a version whose wheel is right',
            )


def is_loaded(path: str) -> bool:
    """Tell whether Python takes a file for an extension module of its own, or for what such a module needs."""
    return bool(_LOADED.search(path))


def _wrong(code: Sequence[MachineCode], arch: str) -> list[MachineCode]:
    foreign = [one for one in code if one.machine != arch]
    return foreign if len(foreign) == len(code) else [one for one in foreign if is_loaded(one.path)]


def _machines(code: Sequence[MachineCode]) -> str:
    return ", ".join(sorted({one.machine for one in code}))


def _named(code: Sequence[MachineCode]) -> str:
    more = f" and {len(code) - _NAMED} more" if len(code) > _NAMED else ""
    return ", ".join(one.path for one in code[:_NAMED]) + more


MACHINE_RULES = (wrong_machine,)

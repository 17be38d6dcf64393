"""Rules about the names of files, which rpm has to list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.errors import Problem
from elpack.model import WheelFacts
from elpack.plan.model import Role
from elpack.plan.paths import installed_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan

_UNLISTABLE = re.compile(r'[%"\\]')
_SHOWN = 5


def unlistable_path(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A file in a wheel whose name no list of files can hold; the build would find it, only later.

    rpm expands macros in such a list more than once and drops backslashes, so that no escape holds.
    """
    for package in plan.packages:
        if not package.sources or package.role in (Role.MACROS, Role.RUNTIME, Role.BUNDLE):
            continue
        facts = inputs.facts[package.sources[0].sha256]
        if not isinstance(facts, WheelFacts):
            continue
        bad = sorted(path for path in installed_paths(package, facts, plan.target.python) if _UNLISTABLE.search(path))
        if bad:
            more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
            yield Problem(
                f"no RPM can list {', '.join(map(ascii, bad[:_SHOWN]))}{more}",
                where=f"{package.dist} {package.upstream_version}",
                why='rpm gives %, " and backslashes a meaning there',
                fix="take another version of it, or have its authors rename the file",
            )


NAME_RULES = (unlistable_path,)

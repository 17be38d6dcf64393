"""The rules about places that no dist may take, whatever its wheel says; rpm would notice the half of it, and late."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from elpack.errors import Problem
from elpack.plan.model import Role
from elpack.plan.paths import installed_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package, Plan

_VENV = re.compile(r"bin|lib|lib64|lib64/.*|pyvenv\.cfg|bin/python(3(\.\d+)?)?")
# What a wheel's data may add below /usr without meaning to the system: no units, rules, triggers, libraries.
_HARMLESS = re.compile(r"(bin|include|share)/.+|lib(64)?/python[\d.]+/site-packages/.+")
_PRIVILEGED = re.compile(r"share/(dbus-1|polkit-1|sudo)/.*")
_AT_START = re.compile(r"lib(64)?/python[\d.]+/site-packages/(site|user)customize(\.pyc?|[./].*)?")


def place_of_the_prefix(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A wheel with a file where the private prefix has its interpreter, or what makes it a virtual environment.

    Drop the file from the dist in specs/overrides/<dist>.toml, or package another version.
    """
    for package, path in _owned(plan, inputs, private=True):
        if _VENV.fullmatch(path):
            yield _problem(package, path, "belongs to the virtual environment itself")


def place_of_the_system(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """In layout system, a wheel with a file that the system itself would act on: a unit, a rule, a sitecustomize.

    In a private prefix the same file means nothing to anybody else. Drop it in specs/overrides/<dist>.toml.
    """
    for package, path in _owned(plan, inputs, private=False):
        if not _HARMLESS.fullmatch(path) or _PRIVILEGED.fullmatch(path):
            yield _problem(package, path, "is a place that the system itself acts on")
        elif _AT_START.fullmatch(path):
            yield _problem(package, path, "runs at the start of every program in this Python")


def place_taken_twice(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A wheel that puts two files at one place: by two of its schemes, or a script beside a command of that name.

    No installer takes it. Package another version.
    """
    for package in plan.packages:
        if package.sources and package.role not in (Role.MACROS, Role.RUNTIME, Role.BUNDLE):
            facts = inputs.facts[package.sources[0].sha256]
            counted = Counter(installed_paths(package, facts, plan.target.python))
            for path in sorted(path for path, count in counted.items() if count > 1):
                where = f"{package.dist} {package.upstream_version}"
                yield Problem(f"two files would be {path}", where, fix="take another version of it")


def _owned(plan: Plan, inputs: Inputs, *, private: bool) -> Iterator[tuple[Package, str]]:
    """Yield what dists that customers get will own below the prefix, by its path there."""
    for package in plan.packages:
        if not package.role.at_run_time or package.private is not private or not package.sources:
            continue
        if package.role in (Role.MACROS, Role.RUNTIME, Role.BUNDLE):
            continue
        facts, below = inputs.facts[package.sources[0].sha256], f"{package.prefix}/"
        own = {file.destination for file in package.installed}
        for path in sorted({*installed_paths(package, facts, plan.target.python)}):
            if path.startswith(below) and (private or path not in own):
                yield package, path.removeprefix(below)


def _problem(package: Package, path: str, what: str) -> Problem:
    return Problem(
        f"{package.prefix}/{path} {what}",
        where=f"{package.dist} {package.upstream_version}",
        fix=f'[[drop]] path = "{path}" with a reason, in specs/overrides/{package.dist}.toml',
    )


PLACE_RULES = (place_of_the_prefix, place_of_the_system, place_taken_twice)

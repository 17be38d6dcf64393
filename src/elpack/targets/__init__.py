"""Targets: the facts of each EL version are data files here, the release file picks from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack.errors import ConfigError, Problem
from elpack.model import Target, TargetRepository
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.tables import Table


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """Which Python and which architectures of a known target a release is built for."""

    name: str
    python: str
    arches: tuple[str, ...]


@cache
def known_targets() -> tuple[str, ...]:
    """Return the names of the data files shipped beside this module, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def _facts(name: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text()
    return parse_toml(f"targets/{name}.toml", text).values


def target_facts(name: str) -> Mapping[str, Any]:
    """Return all that the data file of a known target says."""
    return _facts(name)


def pythons(name: str) -> tuple[str, ...]:
    """Return the Python versions that a known target has, its default first."""
    return tuple(_facts(name)["python"])


def read_target_choice(name: str, table: Table) -> TargetChoice:
    """Read ``[targets.<name>]`` of a release file; what the target does not have is noted as a problem."""
    facts = _facts(name)
    before = len(table.problems)
    python = table.get("python", str, facts["python"][0])
    if python not in facts["python"] and len(table.problems) == before:
        table.problem("python", f"{name} has no Python {python}", fix=f"one of: {', '.join(facts['python'])}")
    arches = table.strings("arches") or ("x86_64",)
    for arch in arches:
        if arch not in facts["arches"]:
            table.problem("arches", f"{name} has no architecture {arch}", fix=f"one of: {', '.join(facts['arches'])}")
    return TargetChoice(name, python, arches)


def resolve_target(choice: TargetChoice, arch: str) -> Target:
    """Return the target with all its facts. Raises `ConfigError` when the release does not ask for the architecture."""
    if arch not in choice.arches:
        raise ConfigError(
            Problem(
                f"the release is not made for {arch}",
                where=f"[targets.{choice.name}] arches",
                fix=f"one of: {', '.join(choice.arches)}",
            )
        )
    facts = _facts(choice.name)
    major, minor = facts["glibc"].split(".")
    return Target(
        name=choice.name,
        el=facts["el"],
        python=choice.python,
        arch=arch,
        dist_tag=facts["dist_tag"],
        glibc=(int(major), int(minor)),
        interpreter=facts["interpreter"].format(python=choice.python),
        python_rpm=facts["python_rpm"].format(python=choice.python),
        devel_rpm=facts["devel_rpm"].format(python=choice.python),
        standin=facts["standin"],
        title=facts["title"],
        buildroot=tuple(facts["buildroot"]),
        root=tuple(facts["root"]),
        repositories=tuple(
            TargetRepository(name, entry["url"].replace("$basearch", arch), entry["gpgkey"])
            for name, entry in facts["repositories"].items()
        ),
    )

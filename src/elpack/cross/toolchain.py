"""Which cross compiler a target has: facts of its data file, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from elpack.errors import ForeignArchError, Problem
from elpack.model import TargetRepository
from elpack.targets import target_facts


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that runs on `home` and compiles for `arch`.

    triplet: what its programs' names begin with. packages: the RPMs that hold it. repositories: where they come from
    beside the target's own; none for a stand-in, whose compiler `elpack.steps.cross_toolchain` packs. caveat: what
    users should know of it, half a sentence.
    """

    arch: str
    home: str
    triplet: str
    packages: tuple[str, ...]
    repositories: tuple[TargetRepository, ...] = ()
    caveat: str = ""


def toolchain(target: str, arch: str, home: str) -> Toolchain:
    """Return the compiler by which a machine of architecture `home` compiles for a target's `arch`.

    Raises `ForeignArchError` when that target has none.
    """
    facts = target_facts(target).get("cross", {}).get(arch, {})
    if home not in facts:
        known = ", ".join(f"on {name}" for name in facts) or "on none"
        raise ForeignArchError(
            Problem(
                f"{target} has no cross compiler for {arch} that runs on {home}",
                where='[builds] way = "cross"',
                why=f"elpack knows one {known}",
                fix='way = "emulated", or a worker of that architecture under [builds.workers]',
            )
        )
    found = facts[home]
    repositories = (
        TargetRepository(name, entry["url"].replace("$basearch", home), entry["gpgkey"])
        for name, entry in found.get("repositories", {}).items()
    )
    return Toolchain(arch, home, found["triplet"], tuple(found["packages"]), tuple(repositories), found["caveat"])

"""Does a lock still belong to its project? Compares what it was made from with what the project says today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from elpack import strict
from elpack.errors import LockError, Problem
from elpack.lockfile import parse_marker
from elpack.model import ARCHES, SourceKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier
    from packaging.utils import NormalizedName

    from elpack.model import UvLock

_PYTHONS = tuple(f"3.{minor}" for minor in range(9, 17))


def check_fresh(
    lock: UvLock,
    root: NormalizedName,
    requires_dist: tuple[str, ...],
    optional: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Raise `LockError` when the project's requirements are not those the lock was made from.

    requires_dist is ``[project] dependencies``; optional holds the ``[project.optional-dependencies]`` that matter.
    uv rewrites markers, so what is compared is their effect: on Linux, with every Python that the lock allows.
    """
    dist = next((dist for dist in lock.dists if dist.name == root), None)
    if dist is None or (dist.declared is None and dist.source is SourceKind.REGISTRY):
        return  # the lock of another project, which only uses this one: there is nothing to compare with
    where = f"{lock.path}:{dist.line}"
    if dist.declared is None and requires_dist:
        what = f"the lock does not say what requirements of {root} it was made from"
        raise LockError(Problem(what, where, fix="uv lock"))
    problems: list[Problem] = []
    for extra, wanted in {"": requires_dist, **(optional or {})}.items():
        now = _effects(lock, (*requires_dist, *wanted), extra, where)
        then = _effects(lock, dist.declared or (), extra, where)
        suffix = f" for its extra {extra}" if extra else ""
        problems += _differences(now, then, f"{root}{suffix}", where)
    if problems:
        raise LockError(*dict.fromkeys(problems))


def _differences(
    now: Mapping[str, frozenset[str]], then: Mapping[str, frozenset[str]], who: str, where: str
) -> Iterator[Problem]:
    why = "the project's requirements were changed after the lock was made"
    for text in sorted(now.keys() | then.keys()):
        if text not in then:
            yield Problem(f"{who} requires {text}, which the lock was not made for", where, why, fix="uv lock")
        elif text not in now:
            yield Problem(f"the lock was made for {text}, which {who} does not require", where, why, fix="uv lock")
        elif now[text] != then[text]:
            yield Problem(f"{who} requires {text} under other conditions than the lock", where, why, fix="uv lock")


def _effects(lock: UvLock, requirements: Collection[str], extra: str, where: str) -> dict[str, frozenset[str]]:
    """Return each requirement, spelt in one way, with the environments in which it holds."""
    local = {dist.name for dist in lock.dists if dist.source is not SourceKind.REGISTRY}
    effects: dict[str, frozenset[str]] = {}
    for text in requirements:
        try:
            requirement = strict.requirement(text)
        except InvalidRequirement as error:
            raise LockError(Problem(f"{text!r} is not a requirement: {error}", where)) from error
        if holds := frozenset(_environments(lock, requirement, extra)):
            key = _spelling(requirement, local)
            effects[key] = effects.get(key, frozenset()) | holds
    return effects


def _spelling(requirement: Requirement, local: Collection[NormalizedName]) -> str:
    name = canonicalize_name(requirement.name)
    extras = ",".join(sorted(map(canonicalize_name, requirement.extras)))
    # With a source of its own ([tool.uv.sources]) the lock keeps no version range.
    ranges = "" if requirement.url or name in local else ",".join(sorted(map(_range, requirement.specifier)))
    return f"{name}[{extras}]{ranges}" if extras else f"{name}{ranges}"


def _range(specifier: Specifier) -> str:
    """Return one range as uv writes it: ``>=3.08`` is ``>=3.8`` in a lock."""
    number, dot, rest = specifier.version.partition(".*")
    try:
        return f"{specifier.operator}{Version(number)}{dot}{rest}"
    except InvalidVersion:  # behind === stands any text
        return str(specifier)


def _environments(lock: UvLock, requirement: Requirement, extra: str) -> Iterator[str]:
    for python in _PYTHONS:
        if not lock.requires_python.contains(f"{python}.99"):
            continue
        for arch in ARCHES:
            environment = {
                "implementation_name": "cpython",
                "implementation_version": f"{python}.99",
                "os_name": "posix",
                "platform_machine": arch,
                "platform_python_implementation": "CPython",
                "platform_release": "",
                "platform_system": "Linux",
                "platform_version": "",
                "python_full_version": f"{python}.99",
                "python_version": python,
                "sys_platform": "linux",
                "extra": extra,
            }
            if requirement.marker is None or parse_marker(str(requirement.marker)).evaluate(environment):
                yield f"{python} {arch}"

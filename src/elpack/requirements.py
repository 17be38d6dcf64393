"""What a dist requires of others, from PEP 508 into RPM's own terms; for dists in the interpreter's site-packages.

There the target's own generator writes ``Provides: python3.12dist(name) = version``. A requirement must therefore
speak of versions as that generator spells them, which `provided_version` tells. In its spelling rpm orders versions as
PEP 440 does, as far as they are `spelt_whole`, so that each operator becomes one or two ranges.
"""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.version import InvalidVersion, Version

from elpack import strict
from elpack.naming import dist_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier

_PYTHON = re.compile(r"[0-9]+\.[0-9]+")
# Bounds first, then what they leave out; within each by text. Any order would do, but it must always be the same.
_ORDER = ("===", "==", "~=", ">=", ">", "<", "<=", "!=")


class _Side(IntEnum):
    """Where a version lies, seen from its nearest spelling."""

    BELOW = -1
    AT = 0
    ABOVE = 1


def applicable(requires_dist: Iterable[str], environment: Mapping[str, str], extra: str = "") -> list[Requirement]:
    """Return the requirements that hold on a target: without any extra, or those that hold because of this one alone.

    Malformed ones are left out, and so are those whose marker makes no sense.
    """
    found = [requirement for requirement in parsed(requires_dist) if holds(requirement, environment, extra)]
    return [requirement for requirement in found if not extra or not holds(requirement, environment)]


def parsed(requires_dist: Iterable[str]) -> Iterator[Requirement]:
    """Yield the requirements among texts from outside; malformed ones are left out."""
    for text in requires_dist:
        try:
            yield strict.requirement(text)
        except InvalidRequirement:
            continue


def holds(requirement: Requirement, environment: Mapping[str, str], extra: str = "") -> bool:
    """Tell whether a requirement's marker is true. One that makes no sense, which no installer can follow, is not."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**environment, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False


def rpm_requirements(requirement: Requirement, python: str) -> tuple[str, ...]:
    """Return what RPM's Requires say for a requirement: the dist, and each of its extras, at the same versions.

    ``cryptography>=3.4,<47`` for Python 3.12 gives
    ``(python3.12dist(cryptography) >= 3.4 with python3.12dist(cryptography) < 47~~)``. The marker is not looked at. A
    bound that Provides do not spell whole is rounded outwards, to its nearest spelling.

    Raises ValueError for a URL, and for ``===`` with what is no version: no Provides can say that it is met.
    """
    if requirement.url is not None:
        raise ValueError(f"{requirement}: an RPM cannot require a dist from a URL; name a version instead")
    if not _PYTHON.fullmatch(python):
        raise ValueError(f"{python!r} is not a Python version such as 3.12")
    name = dist_name(requirement.name)
    names = [name, *(f"{name}[{extra}]" for extra in sorted(map(dist_name, requirement.extras)))]
    specifiers = sorted(requirement.specifier, key=lambda one: (_ORDER.index(one.operator), one.version))
    return tuple(_expression(f"python{python}dist({text})", specifiers) for text in names)


def provided_version(version: Version) -> str:
    """Return a version as the Provides of rpm's generator spell it: ``1.0.0`` → ``1``, ``1.0a1`` → ``1~a1``.

    Of a pre-release, a development release and a post-release it tells only the first, and of a local version nothing:
    see `spelt_whole`.
    """
    text = _release(version)
    if version.pre is not None:
        return f"{text}~{version.pre[0]}{version.pre[1]}"
    if version.dev is not None:
        return f"{text}~~dev{version.dev}"
    return text if version.post is None else f"{text}^post{version.post}"


def spelt_whole(version: Version) -> bool:
    """Tell whether rpm's generator distinguishes a version from all others.

    It does not distinguish ``1.0+local`` from ``1.0``, ``1.0a1.dev2`` or ``1.0a1.post2`` from ``1.0a1``, nor
    ``1.0.post1.dev2`` from ``1.0.dev2``.
    """
    parts = (version.pre, version.post, version.dev)
    return version.local is None and sum(part is not None for part in parts) <= 1


def _expression(capability: str, specifiers: Iterable[Specifier]) -> str:
    said = [_ranges(capability, specifier) for specifier in specifiers]
    ranges = list(dict.fromkeys(chain.from_iterable(said)))  # `>=1.0,>=1` says one thing twice
    if not ranges:
        return capability
    return ranges[0] if len(ranges) == 1 else f"({' with '.join(ranges)})"


def _ranges(capability: str, specifier: Specifier) -> list[str]:
    """Return the ranges that together say what one specifier says; none where it rules nothing out."""
    operator, text = specifier.operator, specifier.version
    if text.endswith(".*") and operator in {"==", "!="}:
        return _prefix(capability, operator, Version(text.removesuffix(".*")))
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise ValueError(f"{specifier}: {text!r} is not a version, so no RPM can be asked for it") from error
    if operator == "~=":
        return [*_ordered(capability, ">=", version), f"{capability} < {_next(version.epoch, version.release[:-1])}~~"]
    if operator in {"==", "==="}:
        return [f"{capability} = {provided_version(version)}"]
    if operator == "!=":
        spelling = provided_version(version)
        return [f"({capability} < {spelling} or {capability} > {spelling})"] if spelt_whole(version) else []
    return _ordered(capability, operator, version)


def _prefix(capability: str, operator: str, version: Version) -> list[str]:
    """Return `==1.2.*` or `!=1.2.*`: from the first development release of 1.2 to that of 1.3, or outside."""
    first, after = f"{_release(version)}~~", f"{_next(version.epoch, version.release)}~~"
    if operator == "==":
        return [f"{capability} >= {first}", f"{capability} < {after}"]
    return [f"({capability} < {first} or {capability} >= {after})"]


def _ordered(capability: str, operator: str, version: Version) -> list[str]:
    """Return `<`, `<=`, `>` or `>=`, with what PEP 440 leaves out of the first and the third."""
    final = version.pre is None and version.post is None and version.dev is None
    if final and operator == "<":  # and not its pre-releases
        return [f"{capability} < {_release(version)}~~"]
    if final and operator == ">":  # and not its post-releases: any `^` sorts before `.0`, and any longer release after
        return [f"{capability} > {_release(version)}.0"]
    spelling, side = _place(version)
    if (operator, side) in {("<", _Side.ABOVE), (">", _Side.BELOW)}:
        operator += "="
    return [f"{capability} {operator} {spelling}"]


def _place(version: Version) -> tuple[str, _Side]:
    """Return the spelling that is nearest to a version in PEP 440's order, and where the version lies from it."""
    release = _release(version)
    if version.pre is not None:
        side = _Side.BELOW if version.dev is not None else _Side.AT
        return f"{release}~{version.pre[0]}{version.pre[1]}", side if version.post is None else _Side.ABOVE
    if version.post is not None:
        return f"{release}^post{version.post}", _Side.AT if version.dev is None else _Side.BELOW
    return provided_version(version), _Side.AT


def _release(version: Version) -> str:
    return _spelling(version.epoch, version.release)


def _next(epoch: int, release: tuple[int, ...]) -> str:
    """Return the release after all that begin with this one: 1.2 → 1.3, and 1.0 → 1.1."""
    return _spelling(epoch, (*release[:-1], release[-1] + 1))


def _spelling(epoch: int, release: tuple[int, ...]) -> str:
    """Return epoch and release number without trailing zeros, which PEP 440 overlooks and rpm does not."""
    numbers = list(release)
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return (f"{epoch}:" if epoch else "") + ".".join(map(str, numbers))

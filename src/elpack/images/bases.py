"""Base images of flavour `uv`: what is known of each, what the lock of digests says, and whether one fits a release."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack.errors import ImageError, Problem
from elpack.images.annotations import platform_of
from elpack.tables import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.model import Target
    from elpack.tables import Table

LOCK = "containers/bases.lock.toml"
"""Where a project keeps the digests of its bases, relative to the release file."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REFERENCE = re.compile(
    r"(?P<name>(?:localhost|[a-z0-9.-]+\.[a-z0-9.-]+|[a-z0-9-]+(?=:)|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})\Z"
)
_HEAD = """\
# Digests of base images, written by `elpack image pin`. Commit it: what an image is built upon is a decision.
"""


@dataclass(frozen=True, slots=True)
class BaseDefinition:
    """What is known of a base image before anybody looked at it (data/bases/<name>.toml).

    reference: ``host/path:tag`` of what is pulled unless the lock names another; of a `standin`, which is made here of
    the stand-in's packages, its name in the engine. made_from: what a Containerfile below containers/bases/ starts
    from, where somebody has to build it first; `reference` is an example then. python: path of its interpreter;
    version: that interpreter's minor version; pypy: the version of PyPy, where it is one. glibc: the newest symbols
    that it has. packages: what is installed in it, of the stand-in's, or of that release of Debian. later: functions of
    PyPy's C interface that its program is compiled with, where the library lacks them. targets: those whose base it is
    unless the release says otherwise.
    """

    name: str
    title: str
    python: str
    version: str
    glibc: tuple[int, int]
    arches: tuple[str, ...]
    reference: str
    made_from: str = ""
    targets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    standin: bool = False
    pypy: str = ""
    debian: str = ""
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinnedBase:
    """The digests of a base: of its index, and of each platform's manifest by architecture (``x86_64``).

    reference: ``host/path:tag`` that they were found by. The index is the manifest itself where there is no index.
    """

    reference: str
    index: str
    platforms: Mapping[str, str] = field(default_factory=dict)


@cache
def known_bases() -> tuple[str, ...]:
    """Return the names of the definitions shipped with elpack, sorted."""
    files = resources.files("elpack.data").joinpath("bases").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def definition(name: str) -> BaseDefinition:
    """Return a definition by its name, which is one of `known_bases()`."""
    text = resources.files("elpack.data").joinpath("bases").joinpath(f"{name}.toml").read_text()
    facts: dict[str, Any] = parse_toml(f"bases/{name}.toml", text).values
    major, minor = facts.pop("glibc").split(".")
    lists = {key: tuple(value) for key, value in facts.items() if isinstance(value, list)}
    rest = {key.replace("-", "_"): value for key, value in {**facts, **lists}.items()}
    return BaseDefinition(name=name, glibc=(int(major), int(minor)), **rest)


def engine_name(base: BaseDefinition, arch: str) -> str:
    """Return what a stand-in's base is called in the engine: one name for one architecture, or engines mix them up."""
    return f"{base.reference}-{platform_of(arch).rpartition('/')[2]}"


def base_for(target: Target, bases: Mapping[str, str]) -> BaseDefinition:
    """Return the base of a target: what the release names ([images.bases]), else the default of that target.

    bases: a base's name by target, by ``<target>-pypy`` where the target has PyPy. Raises `ImageError` with all that is
    wrong: unknown name, another Python, an architecture that it does not have, an older glibc than the target's.
    """
    where = f"[images.bases] {_key(target)}"
    name = base_name(target, bases)
    if name not in known_bases():
        what = f"no base image is called {name}" if name else f"there is no base image for {target.name}"
        raise ImageError(Problem(what, where, fix=f"one of: {', '.join(known_bases())}"))
    found = definition(name)
    problems = list(_misfits(found, target))
    if problems:
        raise ImageError(*(Problem(what, where, why, _fix(target)) for what, why in problems))
    return found


def base_name(target: Target, bases: Mapping[str, str]) -> str:
    """Return the name of a target's base, as the release has it or by default; empty where there is none."""
    known = ((name, definition(name)) for name in known_bases())
    defaults = (name for name, one in known if target.name in one.targets and bool(one.pypy) is bool(target.pypy))
    return bases.get(_key(target)) or next(defaults, "")


def _key(target: Target) -> str:
    return f"{target.name}-pypy" if target.pypy else target.name


def _misfits(base: BaseDefinition, target: Target) -> list[tuple[str, str]]:
    wanted = ".".join(map(str, target.glibc))
    checks = (
        (
            not target.pypy or base.pypy == target.pypy,
            f"{base.name} has {_python(base)}, not PyPy {target.pypy}",
            "compiled modules are for one version of PyPy",
        ),
        (
            bool(target.pypy) or not base.pypy,
            f"{base.name} has {_python(base)}, not CPython {target.python}",
            "compiled modules are for one implementation of Python; flavour pypy starts from it",
        ),
        (
            base.version == target.python,
            f"{base.name} has Python {base.version}, not {target.python}",
            "compiled modules are for one minor version",
        ),
        (
            target.arch in base.arches,
            f"{base.name} is not for {target.arch}, but for {', '.join(base.arches)}",
            "an image runs on one architecture",
        ),
        (
            base.glibc >= target.glibc,
            f"{base.name} has glibc {'.'.join(map(str, base.glibc))}, older than {wanted}",
            f"wheels were chosen that need up to glibc {wanted}",
        ),
        (
            not base.standin or target.standin,
            f"{base.name} is a stand-in, and {target.name} is none",
            "nobody may take it for the real one",
        ),
    )
    return [(what, why) for fine, what, why in checks if not fine]


def _python(base: BaseDefinition) -> str:
    return f"PyPy {base.pypy}" if base.pypy else f"CPython {base.version}"


def _fix(target: Target) -> str:
    fitting = [name for name in known_bases() if not _misfits(definition(name), target)]
    return f"one of: {', '.join(fitting)}" if fitting else "another target or Python in [targets]"


def pinned(base: BaseDefinition, pins: Mapping[str, PinnedBase], arch: str) -> tuple[PinnedBase, str]:
    """Return the pin of a base and the digest of one architecture's manifest.

    Raises `ImageError`, which says how to pin it, when the lock does not have it.
    """
    told = " REFERENCE" if base.made_from else ""
    first = f"build containers/bases/{base.name} and push it; then " if base.made_from else ""
    pin = pins.get(base.name)
    if pin is None:
        why = "a tag names something else tomorrow; images are built upon digests"
        raise ImageError(
            Problem(
                f"the base image {base.name} is not pinned", LOCK, why, f"{first}elpack image pin {base.name}{told}"
            )
        )
    if arch not in pin.platforms:
        what = f"{pin.reference} was not found for {arch}, but for {', '.join(sorted(pin.platforms)) or 'none'}"
        raise ImageError(Problem(what, f"{LOCK}: {base.name}", fix=f"elpack image pin {base.name}, or another base"))
    return pin, pin.platforms[arch]


def split_reference(text: str) -> tuple[str, str]:
    """Return repository and tag of ``host/path:tag``. Raises ValueError, where an engine would guess the rest."""
    found = _REFERENCE.match(text)
    if not found:
        raise ValueError(f"{text!r} is not of the form registry.example.org/path/name:tag")
    return found["name"], found["tag"]


def read_pins(text: str, where: str = LOCK) -> Mapping[str, PinnedBase]:
    """Return what bases.lock.toml says, by the base's name. Raises `ImageError` with all mistakes."""
    try:
        root = parse_toml(where, text)
    except ValueError as error:
        raise ImageError(Problem(str(error), where, fix="elpack image pin writes it anew")) from error
    pins = {name: _read_pin(table) for name, table in root.named_tables()}
    for name in pins:
        if name not in known_bases():
            root.problem(name, "there is no such base", fix=f"one of: {', '.join(known_bases())}")
    if root.problems:
        raise ImageError(*root.problems)
    return pins


def pins_text(pins: Mapping[str, PinnedBase]) -> str:
    """Return bases.lock.toml."""
    parts = [_HEAD]
    for name, pin in sorted(pins.items()):
        platforms = "".join(f'{arch} = "{digest}"\n' for arch, digest in sorted(pin.platforms.items()))
        parts.append(
            f'[{name}]\nreference = "{pin.reference}"\nindex = "{pin.index}"\n\n[{name}.platforms]\n{platforms}'
        )
    return "\n".join(parts)


def _read_pin(table: Table) -> PinnedBase:
    reference = table.parsed("reference", _reference) or ""
    index = table.parsed("index", _digest) or ""
    platforms = table.table("platforms")
    found = {arch: platforms.parsed(arch, _digest) or "" for arch in platforms.values}
    table.done()
    return PinnedBase(reference, index, found)


def _reference(text: str) -> str:
    split_reference(text)
    return text


def _digest(text: str) -> str:
    if not _DIGEST.match(text):
        raise ValueError("expected sha256: and 64 hexadecimal digits")
    return text

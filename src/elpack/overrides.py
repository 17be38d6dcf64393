"""What only a human knows about a dist: specs/overrides/<dist>.toml, each entry with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import ConfigError, Problem
from elpack.licences import spdx
from elpack.model import Policy
from elpack.naming import dist_name, rpm_name
from elpack.tables import Table, parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from elpack.naming import RpmName

_ENVIRONMENT = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
_VALUE = re.compile(r"[A-Za-z0-9_./:=,+-]*\Z")
_PATH = re.compile(r"[A-Za-z0-9_./+-]+\Z")
_GLOB = re.compile(r"[A-Za-z0-9_./+*?-]+\Z")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
# As Fedora's bundled() provides are spelt: a project's name, or one of another language's within its namespace.
_BUNDLED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:\([A-Za-z0-9@][A-Za-z0-9@/._+-]*\))?\Z")
_BUNDLED_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^]*\Z")
_LONGEST_TEXT = 200
_COUNTS = range(1, 1_000_001)


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A value that a human set, and why."""

    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bundled:
    """Somebody else's code that a dist carries along, and the text in a file of its sdist that proves the version."""

    name: str
    version: str
    file: str
    text: str
    reason: str

    @property
    def provide(self) -> str:
        """Return what the RPM says of it."""
        return f"bundled({self.name}) = {self.version}"


@dataclass(frozen=True, slots=True)
class MustHave:
    """Files below site-packages without which the package is broken: a pattern, and how many there are at least."""

    path: str
    at_least: int
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """Everything that a human decided for one dist.

    drop: paths below the prefix that are left out. keep_source: paths below site-packages that are not
    byte-compiled. build_env: NAME=value for the build. build_requires: RPMs of the target. build_dists: dists of
    the closure that the build needs in the closure's version. skip_import: modules left out of the import check.
    unmet: dists whose absence or version in the closure contradicts the metadata on purpose. bundled: code of others
    inside. must_have: files that have to be there. not_hardened: paths below the prefix, as patterns, of machine code
    that need not be hardened as the target asks.
    """

    name: NormalizedName
    policy: Reasoned | None = None
    licence: Reasoned | None = None
    native: Reasoned | None = None
    drop: tuple[Reasoned, ...] = ()
    keep_source: tuple[Reasoned, ...] = ()
    build_env: tuple[Reasoned, ...] = ()
    build_requires: tuple[Reasoned, ...] = ()
    build_dists: tuple[Reasoned, ...] = ()
    skip_import: tuple[Reasoned, ...] = ()
    unmet: tuple[Reasoned, ...] = ()
    bundled: tuple[Bundled, ...] = ()
    must_have: tuple[MustHave, ...] = ()
    not_hardened: tuple[Reasoned, ...] = ()


def parse_overrides(files: Mapping[str, str]) -> dict[NormalizedName, Override]:
    """Read override files, given as file name to text. Raises `ConfigError` with every mistake in all of them."""
    overrides: dict[NormalizedName, Override] = {}
    problems: list[Problem] = []
    for file, text in sorted(files.items()):
        try:
            name = _named_by(file)
            table = parse_toml(file, text)
        except ValueError as error:
            problems.append(Problem(str(error), where=file))
            continue
        overrides[name] = _override(name, table)
        table.done()
        problems += table.problems
    if problems:
        raise ConfigError(*problems)
    return overrides


def _named_by(file: str) -> NormalizedName:
    """Return the dist that a file is about. Another spelling of its name would allow two files for one dist."""
    stem = file.rsplit("/", 1)[-1].removesuffix(".toml")
    name = dist_name(stem)
    if stem != name:
        raise ValueError(f"an override file is named by its dist's normalised name: {name}.toml")
    return name


def _override(name: NormalizedName, table: Table) -> Override:
    return Override(
        name=name,
        policy=_one(table, "policy", "use", _policy),
        licence=_one(table, "licence", "expression", _licence),
        native=_one(table, "native", "is", _yes_or_no),
        drop=_many(table, "drop", "path", _path),
        keep_source=_many(table, "no-bytecompile", "path", _path),
        build_env=_many(table, "build-env", "set", _assignment),
        build_requires=_many(table, "build-requires", "rpm", rpm_name),
        build_dists=_many(table, "build-with", "dist", dist_name),
        skip_import=_many(table, "no-import", "module", _module),
        unmet=_many(table, "unmet", "dist", dist_name),
        bundled=tuple(one for inner in table.tables("bundled") if (one := _bundled(inner))),
        must_have=tuple(entry for inner in table.tables("must-have") if (entry := _must_have(inner))),
        not_hardened=_many(table, "not-hardened", "path", _pattern),
    )


def _one(table: Table, key: str, inner: str, parse: Parser) -> Reasoned | None:
    if not table.has(key):
        return None
    before = len(table.problems)
    entry = table.table(key)
    return _reasoned(entry, inner, parse) if len(table.problems) == before else None


def _many(table: Table, key: str, inner: str, parse: Parser) -> tuple[Reasoned, ...]:
    entries = (_reasoned(entry, inner, parse) for entry in table.tables(key))
    return tuple(entry for entry in entries if entry is not None)


def _reasoned(table: Table, inner: str, parse: Parser) -> Reasoned | None:
    value = table.parsed(inner, parse)
    reason = _reason(table)
    table.done()
    return Reasoned(str(value), reason) if value is not None else None


def _reason(table: Table) -> str:
    reason = table.get("reason", str)
    if not reason.strip() and table.values.get("reason") == reason:
        table.problem("reason", "an override needs a reason that its next reader can weigh")
    reason = " ".join(reason.split())
    if not reason.isprintable():
        table.problem("reason", "the reason holds control characters, and is printed")
    return reason


def _bundled(table: Table) -> Bundled | None:
    before = len(table.problems)
    entry = Bundled(
        name=table.parsed("name", _matching(_BUNDLED, "the name of what is bundled: lmdb, npm(left-pad)")) or "",
        version=table.parsed("version", _matching(_BUNDLED_VERSION, "a version that RPM can compare")) or "",
        file=table.parsed("file", _path) or "",
        text=table.parsed("text", _proof) or "",
        reason=_reason(table),
    )
    table.done()
    return entry if len(table.problems) == before else None


def _must_have(table: Table) -> MustHave | None:
    before = len(table.problems)
    path, at_least = table.parsed("path", _pattern_of_folders) or "", table.get("at-least", int, 1)
    if at_least not in _COUNTS and len(table.problems) == before:
        table.problem("at-least", f"expected {_COUNTS[0]} to {_COUNTS[-1]}, found {at_least}")
    entry = MustHave(path, at_least, _reason(table))
    table.done()
    return entry if len(table.problems) == before else None


def _matching(pattern: re.Pattern[str], form: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.match(text):
            raise ValueError(f"{text!r} is not {form}")
        return text

    return parse


def _proof(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_TEXT:
        raise ValueError(f"expected what the file holds, in at most {_LONGEST_TEXT} characters")
    return text


def _pattern(text: str) -> str:
    if not _GLOB.match(text):
        raise ValueError(f"{text!r} holds characters that a spec would have to quote; of patterns it may hold * and ?")
    return _plain(text)


def _pattern_of_folders(text: str) -> str:
    if "**" in text:
        raise ValueError(f"{text!r} holds **, which means nothing here: * stays within one folder")
    return _pattern(text)


def _path(text: str) -> str:
    if not _PATH.match(text):
        raise ValueError(f"{text!r} holds characters that a spec would have to quote")
    return _plain(text)


def _plain(text: str) -> str:
    if any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError(f"{text!r} is not a plain relative path")
    if text.startswith("-"):
        raise ValueError(f"{text!r} would be taken for an option")
    return text


def _module(text: str) -> str:
    if not _MODULE.match(text):
        raise ValueError(f"{text!r} is not the name of a module")
    return text


def _policy(text: str) -> str:
    if text != Policy.SDIST:
        raise ValueError(f"{text!r} is not a policy to switch to: sdist")
    return text


def _licence(text: str) -> str:
    try:
        return spdx(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not an SPDX licence expression: {error}; see https://spdx.org/licenses/"
        ) from error


def _yes_or_no(text: str) -> str:
    if text not in {"yes", "no"}:
        raise ValueError(f"{text!r} is neither yes nor no")
    return text


def _assignment(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or not _ENVIRONMENT.match(name) or not _VALUE.match(value):
        raise ValueError(f"{text!r} is not of the form NAME=value")
    return text


if TYPE_CHECKING:
    from collections.abc import Callable

    Parser = Callable[[str], RpmName] | Callable[[str], NormalizedName] | Callable[[str], str]

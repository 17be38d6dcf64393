"""Holds what a build made against what its spec declares: its code ran beside rpmbuild and could touch the results.

A package from a build enters build roots and customers' machines as root, with its scripts. So it may have no other
name, version, script, trigger or obsoletes than rpm reads from the spec itself, and no file that gives anybody rights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders.environment import query_spec
from elpack.errors import BuildError, Problem
from elpack.run import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from elpack.builders import BuildJob
    from elpack.run import Runner

_PACKAGE, _PART, _FILES = "\x1d", "\x1e", "\x1f"
_SCRIPTS = ("PREIN", "POSTIN", "PREUN", "POSTUN", "PRETRANS", "POSTTRANS", "VERIFYSCRIPT")
_ARRAYS = (
    *("TRIGGERSCRIPTS", "TRIGGERNAME", "FILETRIGGERSCRIPTS", "FILETRIGGERNAME", "TRANSFILETRIGGERSCRIPTS"),
    *("TRANSFILETRIGGERNAME", "OBSOLETENEVRS", "CONFLICTNEVRS"),
)
_DEBUG = ("-debuginfo", "-debugsource")
_FORM = (
    f"{_PACKAGE}%{{NAME}}{_PART}%{{EPOCHNUM}}:%{{VERSION}}-%{{RELEASE}}{_PART}"
    + "".join(f"%{{{tag}}}[%{{{tag}PROG}} ]{_PART}" for tag in _SCRIPTS)
    + "".join(f"[%{{{tag}}}\\n]{_PART}" for tag in _ARRAYS)
)
_FORM_FILES = f"{_FORM}{_FILES}[%{{FILEMODES:perms}} %{{FILEDIGESTS}} %{{FILECAPS}} %{{FILENAMES}}\\n]"
_TITLES = ("name", "version", *(tag.lower() for tag in (*_SCRIPTS, *_ARRAYS)))
_PASSIVE = frozenset({"name", "version", "obsoletenevrs", "conflictnevrs"})
_HARMLESS = "-dl"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a package is: name, version, then scripts and relations in the order of `_TITLES`; and its files' lines."""

    parts: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the package's name."""
        return self.parts[0]


def ask_packages(spec: str, arch: str) -> tuple[str, ...]:
    """Return the arguments that make rpm, in the build root, say what the spec declares."""
    return query_spec(spec, arch, _FORM)


def declared(text: str) -> tuple[Declared, ...]:
    """Return the packages that `ask_packages` or a query of files printed, source package first."""
    found = []
    for block in text.split(_PACKAGE)[1:]:
        head, _, files = block.partition(_FILES)
        parts = (part.replace("(none)", "").strip() for part in head.split(_PART)[: len(_TITLES)])
        # a name may hold what Python takes for the end of a line, and rpm does not
        found.append(Declared(tuple(parts), tuple(files.removesuffix("\n").split("\n")) if files else ()))
    return tuple(found)


def check_declared(job: BuildJob, expected: Sequence[Declared] | None, made: Sequence[Path], runner: Runner) -> None:
    """Raise `BuildError` with all in which packages, source package first, are not what the spec declares.

    expected: what that is; None where nobody could ask the spec, and the rest is checked alone.
    """
    found = _held(made, runner)
    if len(found) != len(made):
        raise BuildError(Problem("rpm cannot tell what the build's packages are", where=job.name))
    problems = [*_sources(job, found[0])]
    if expected is not None:
        problems += _undeclared(job, expected, found)
    for package in found[1:]:
        problems += _rights(job.name, package)
    names = [package.name for package in found[1:]]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [Problem(f"the build made {name} twice", where=job.name) for name in twice]
    if problems:
        raise BuildError(*problems)


def check_passive(where: str, packages: Sequence[Path], runner: Runner) -> None:
    """Raise `BuildError` for all packages that would run something, or give rights, when they are installed."""
    found = _held(packages, runner) if packages else ()
    if len(found) != len(packages):
        raise BuildError(Problem("rpm cannot tell what the packages are", where=where))
    problems = [problem for package in found for problem in (*_active(where, package), *_rights(where, package))]
    if problems:
        raise BuildError(*problems)


def _held(packages: Sequence[Path], runner: Runner) -> tuple[Declared, ...]:
    """Return what packages are and hold, in order."""
    query = ("rpm", "--query", "--package", "--nosignature", "--queryformat", _FORM_FILES)
    return declared(runner(Command((*query, *map(str, packages)))).check().stdout)


def _active(where: str, package: Declared) -> Iterator[Problem]:
    for title, is_ in zip(_TITLES, package.parts, strict=True):
        if is_ and title not in _PASSIVE:
            yield Problem(f"{package.name} runs something when it is installed: {title}", where=where)


def _debug(package: Declared, binary: Sequence[Declared]) -> Declared | None:
    """Return what a debug package is to be, which rpm adds by itself: the version of the others, and no scripts."""
    if not any(package.name == other.name + end for other in binary for end in _DEBUG):
        return None
    return Declared((package.name, binary[0].parts[1], *("" for _ in _TITLES[2:])))


def _undeclared(job: BuildJob, expected: Sequence[Declared], found: Sequence[Declared]) -> Iterator[Problem]:
    source, *binary = expected
    by_name = {package.name: package for package in binary}
    yield from _differences(job, source, found[0])
    for package in found[1:]:
        yield from _differences(job, by_name.get(package.name) or _debug(package, binary), package)


def _differences(job: BuildJob, expected: Declared | None, found: Declared) -> Iterator[Problem]:
    if expected is None:
        yield Problem(f"the build made a package {found.name}, which its spec does not declare", where=job.name)
        return
    for title, wanted, is_ in zip(_TITLES, expected.parts, found.parts, strict=True):
        if wanted != is_:
            what = f"{found.name} has another {title} than its spec declares: {is_[:200]!r}, not {wanted[:200]!r}"
            yield Problem(what, where=job.name, why="the build's own code changed the package")


def _sources(job: BuildJob, package: Declared) -> Iterator[Problem]:
    """Tell what a source package holds but was not given: rpm packs it after, or while, foreign code runs."""
    given = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (job.spec, *job.sources)}
    held = {name: digest for _, digest, _, name in map(_fields, package.files)}
    for name in sorted(given.keys() | held.keys()):
        if given.get(name) != held.get(name):
            what = f"the source package holds another {name} than the build was given"
            yield Problem(what, where=job.name, why="the build's own code changed it")


def _fields(line: str) -> tuple[str, str, str, str]:
    """Return mode, digest, capabilities and name of a file. Blanks in the capabilities move what follows to the name.

    What is no such line, as after a name with a line end in it, is a file without a name.
    """
    mode, _, rest = line.partition(" ")
    digest, _, rest = rest.partition(" ")
    capabilities, _, name = rest.partition(" ")
    return mode, digest, capabilities, name


def _rights(where: str, package: Declared) -> Iterator[Problem]:
    for line in package.files:
        mode, _, capabilities, name = _fields(line)
        if not name.startswith("/"):
            yield Problem(f"{package.name} holds a file with an odd name or odd capabilities: {line!r}", where=where)
        elif mode[0] not in _HARMLESS:
            yield Problem(f"{package.name} holds {name!r}, which is no file, folder or link", where=where)
        elif mode[0] == "-" and set(mode) & set("sStT"):
            yield Problem(f"{package.name} holds {name!r} with the rights of its owner ({mode})", where=where)
        elif capabilities not in {"", "(none)", "="}:
            yield Problem(f"{package.name} holds {name!r} with capabilities ({capabilities})", where=where)

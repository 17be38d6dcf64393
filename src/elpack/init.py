"""What `elpack init` writes: what was found out about a project in, the text of its release file out."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.config.system import DEVELOPERS
from elpack.errors import ConfigError, LockError, Problem
from elpack.escape import one_line
from elpack.model import SourceKind
from elpack.naming import dist_name, parse_version
from elpack.targets import TargetChoice, known_targets, pythons

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import LockedDist

NOBODY = "Your Name <you@example.org>"

_MAIL = re.compile(r"[^<>\s%@]+@[^<>\s%@]+\Z")
_PERSON = re.compile(r"\s*([^<>%]+?)\s*<([^<>\s%@]+@[^<>\s%@]+)>\s*\Z")
_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z", re.ASCII)
_GIT = re.compile(r"(?P<url>[^?#]+)(?:\?(?P<query>[^#]*))?(?:#.*)?\Z")
_NO_WORD = re.compile(r"[^\w\s.,:()/+-]")
_LONGEST_SUMMARY = 70
_COLUMN = 36
"""Where the comments begin, as far as the values leave room."""


@dataclass(frozen=True, slots=True)
class Own:
    """A dist that no index serves: a folder beside the project, or a git repository with its tag."""

    name: NormalizedName
    path: str = ""
    git: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about a project.

    commands: its scripts; with a lock they make it an application, else it is a library. own: the other dists that
    are compiled from source. dated: why the date is that date. modules: what the installed library is imported by.
    """

    name: NormalizedName
    version: Version
    summary: str
    packager: str
    commands: tuple[str, ...]
    locked: bool
    targets: tuple[TargetChoice, ...]
    date: dt.date
    dated: str
    own: tuple[Own, ...] = ()
    extras: tuple[NormalizedName, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def application(self) -> bool:
        """Tell whether the project is an application: it has commands, and a lock says what they run with."""
        return bool(self.commands) and self.locked


@dataclass(slots=True)
class _Lines:
    """The file as it grows."""

    lines: list[str] = field(default_factory=list)

    def add(self, *lines: str) -> None:
        self.lines += lines

    def table(self, name: str, comment: str = "") -> None:
        self.lines.append("")
        self.lines += [f"# {comment}"] if comment else []
        self.lines.append(f"[{name}]")

    def key(self, key: str, value: str, comment: str = "") -> None:
        line = f"{key} = {value}"
        self.lines.append(f"{line:<{_COLUMN}} # {comment}" if comment else line)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def release_text(found: Found) -> str:
    """Return the release file of a project: an application in layout `stack`, or a library in layout `system`."""
    out = _Lines()
    out.add(
        f"# {found.name} for Enterprise Linux. Written by `elpack init`: read it and change it, it is yours.",
        "# `elpack check` says what is wrong with it; docs/reference/release-file.md of elpack describes every key.",
        "",
        "[release]",
    )
    prefix = f"RPMs are named {found.name}-python3.12-<dist>, and lie in /opt/{found.name}"
    out.key("name", _string(found.name), prefix if found.application else "of this release")
    out.key("date", found.date.isoformat(), f"of the changelog and of all files compiled here: {found.dated}")
    out.key("revision", "1", "the number in the RPMs' Release; raise it to package the same versions anew")
    whose = "who signs the changelog; " + ("nobody yet" if found.packager == NOBODY else "the project's author so far")
    out.key("packager", _string(found.packager), f"{whose}, write your own name")
    if found.application:
        _application(out, found)
    else:
        _library(out, found)
    return out.text()


def _application(out: _Lines, found: Found) -> None:
    out.key("layout", '"stack"', "one RPM per dist, in a prefix of its own; or bundle: all in one RPM")
    out.table("application")
    out.key("name", _string(found.name), one_line(found.summary, _LONGEST_SUMMARY) or "the dist")
    plain = found.name.removeprefix("python3-")
    if plain != found.name:
        out.key("rpm", _string(plain), "names with python3- have a meaning to EL9's macros")
    out.key("lock", '"uv.lock"', "what it runs with, to the byte; renewed by uv lock")
    out.key("provides", _strings([f"python3-{plain}"]), "the other name that dnf finds it under")
    out.key("expose", _strings(found.commands), "its commands that get a link in /usr/bin")
    _first_party(out, found, "Compiled from source. Of all other dists the lock's own files are packaged.")
    _targets(out, found)
    command = _main_command(found)
    out.table("smoke", "What is tried after `dnf install`, in the installed root, as an ordinary user.")
    out.add("")
    _step(out, "help", [command, "--help"], "add what shows that it does its work; `expect` looks into its output")
    out.add(
        "",
        "# If it is a server: a systemd unit, the user it runs as, and hardening.",
        "# [service]",
        f"# name = {_string(plain)}",
        f"# description = {_string(one_line(_NO_WORD.sub('', found.summary), _LONGEST_SUMMARY) or found.name)}",
        f"# user = {_string(plain)}",
        f"# exec = {_strings([f'/opt/{found.name}/bin/{command}', 'serve'])}",
        '# type = "exec"                     # "notify" if it tells systemd when it is ready',
        f"# state-directory = {_string(plain)}",
    )


def _library(out: _Lines, found: Found) -> None:
    out.key("layout", '"system"', "in the interpreter's own site-packages, as Fedora and EPEL do")
    out.table("library")
    out.key("name", _string(found.name), one_line(found.summary, _LONGEST_SUMMARY) or "the dist")
    if found.locked:
        out.key("lock", '"uv.lock"', "what it is built and tested with; what it requires is of the target")
    _first_party(out, found, "Compiled from source.")
    _targets(out, found)
    if found.extras:
        out.table("system.extras", "Extras that get a metapackage, so that dnf can install what they require.")
        out.key(_string(found.name), _strings(found.extras))
    module = _main_module(found)
    if module:
        out.table("smoke", "What is tried after `dnf install`, in the installed root, as an ordinary user.")
        out.add("")
        _step(out, "import", ["{python}", "-c", f"import {module}"], "add what shows that it does its work")


def _first_party(out: _Lines, found: Found, comment: str) -> None:
    out.table("first-party", comment)
    out.key(found.name, '{ path = "." }', "this very folder")
    for own in found.own:
        source = f"path = {_string(own.path)}" if own.path else f"git = {_string(own.git)}, tag = {_string(own.tag)}"
        out.key(own.name, f"{{ {source} }}")


def _targets(out: _Lines, found: Found) -> None:
    for target in found.targets:
        standin = "standin" in target.name
        note = "Debian 12 under EL9's package names, to try it where no EL9 mirror answers. It is not EL9."
        out.table(f"targets.{target.name}", note if standin else "")
        out.key("python", _string(target.python))
        out.key("arches", _strings(target.arches), "" if standin else "and aarch64")


def _step(out: _Lines, name: str, run: Sequence[str], comment: str) -> None:
    out.add("[[smoke.step]]")
    out.key("name", _string(name))
    out.key("run", _strings(run), comment)


def _main_command(found: Found) -> str:
    return str(found.name) if found.name in found.commands else found.commands[0]


def _main_module(found: Found) -> str:
    """Return what the library is imported by; public names first, and the one that is spelt like the dist."""
    names = [name for name in found.modules if _MODULE.match(name)]
    wanted = found.name.replace("-", "_")
    return min(names, key=lambda name: (name.lower() != wanted, name.startswith("_"), name), default="")


def commands_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the commands that may get a link in /usr/bin, sorted."""
    return tuple(sorted(name for name in names if _COMMAND.match(name)))


def runtime_extras(names: Iterable[str]) -> tuple[NormalizedName, ...]:
    """Return the extras that are for users, without those by which developers install their tools."""
    extras = {dist_name(name) for name in names}
    return tuple(sorted(extra for extra in extras - DEVELOPERS if extra != "all"))


def packager_of(pyproject: Mapping[str, Any]) -> str:
    """Return the project's first author or maintainer with name and address, or a placeholder."""
    for person in _people(pyproject):
        if match := _PERSON.match(person):
            return f"{one_line(match[1], _LONGEST_SUMMARY)} <{match[2]}>"
    return NOBODY


def _people(pyproject: Mapping[str, Any]) -> Iterator[str]:
    project, tool = _table(pyproject, "project"), _table(pyproject, "tool")
    for key in ("authors", "maintainers"):
        for person in _array(project, key):
            if isinstance(person, dict) and isinstance(person.get("name"), str):
                mail = person.get("email")
                if isinstance(mail, str) and _MAIL.match(mail):
                    yield f"{person['name']} <{mail}>"
    yield from (person for person in _array(_table(tool, "poetry"), "authors") if isinstance(person, str))


def declared_name(pyproject: Mapping[str, Any]) -> NormalizedName | None:
    """Return the name that is written in the project's own table or Poetry's; None where the backend has to know."""
    for table in (_table(pyproject, "project"), _table(_table(pyproject, "tool"), "poetry")):
        if isinstance(name := table.get("name"), str):
            with suppress(ValueError):
                return dist_name(name)
    return None


def check_project(pyproject: Mapping[str, Any]) -> None:
    """Raise `ConfigError` when `[project]` lacks what no backend can make up."""
    project = pyproject.get("project")
    if project is None:
        return  # setup.py, setup.cfg or a backend's own table have the metadata: the backend is asked
    if not isinstance(project, dict):
        raise ConfigError(Problem("[project] is not a table", where="pyproject.toml"))
    problems = []
    name = project.get("name")
    if name is None:
        problems.append(Problem("the project has no name", "pyproject.toml: project.name", fix='add name = "…"'))
    else:
        try:
            dist_name(name if isinstance(name, str) else str(type(name)))
        except ValueError as error:
            problems.append(Problem(str(error), "pyproject.toml: project.name"))
    version = project.get("version", "0")
    try:
        parse_version(version if isinstance(version, str) else str(type(version)))
    except ValueError as error:
        problems.append(Problem(str(error), "pyproject.toml: project.version"))
    if "version" not in project and "version" not in _array(project, "dynamic"):
        fix = 'add version = "…", or dynamic = ["version"] if the build backend knows it'
        problems.append(Problem("the project has no version", "pyproject.toml: project.version", fix=fix))
    if problems:
        raise ConfigError(*problems)


def choose_targets(requires: Sequence[SpecifierSet], arch: str) -> tuple[TargetChoice, ...]:
    """Return each known target with the newest of its Pythons that the project allows.

    Raises `ConfigError` when no target has one.
    """
    chosen = []
    for name in known_targets():
        fit = [python for python in pythons(name) if all(spec.contains(f"{python}.99") for spec in requires)]
        if fit:
            newest = max(fit, key=lambda python: tuple(map(int, python.split("."))))
            chosen.append(TargetChoice(name, newest, (arch if "standin" in name else "x86_64",)))
    if not chosen:
        has = ", ".join(f"{name}: {', '.join(pythons(name))}" for name in known_targets())
        asked = " and ".join(sorted({str(spec) for spec in requires if str(spec)}))
        what = f"the project asks for Python {asked}, which no target has ({has})"
        raise ConfigError(Problem(what, where="pyproject.toml: project.requires-python"))
    return tuple(chosen)


def own_dist(dist: LockedDist, lock: str) -> Own:
    """Return where a locked dist comes from that no index serves. Raises `LockError` when elpack cannot get it."""
    if dist.source in {SourceKind.EDITABLE, SourceKind.PATH, SourceKind.VIRTUAL}:
        return Own(dist.name, path=dist.source_value)
    where = f"{lock}:{dist.line}"
    match = _GIT.match(dist.source_value)
    if dist.source is not SourceKind.GIT or match is None:
        what = f"{dist.name} comes from {dist.source_value}"
        fix = "release it to an index, or put it into a git repository with a tag, then uv lock"
        raise LockError(Problem(what, where, "only indexes, folders and git tags can be packaged from", fix))
    query = dict(part.partition("=")[::2] for part in (match["query"] or "").split("&"))
    if not query.get("tag"):
        what = f"{dist.name} comes from {match['url']} without a tag"
        fix = f'name one: {dist.name} = {{ git = "{match["url"]}", tag = "…" }} below [tool.uv.sources], then uv lock'
        raise LockError(Problem(what, where, "a branch or commit has no version to package", fix))
    return Own(dist.name, git=match["url"], tag=query["tag"])


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _array(values: Mapping[str, Any], key: str) -> list[Any]:
    value = values.get(key)
    return value if isinstance(value, list) else []


def _string(text: str) -> str:
    # JSON's escapes are TOML's; one_line and the patterns above let no control character in
    return json.dumps(text, ensure_ascii=False)


def _strings(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_string, texts))}]"

"""Looks at a project and writes its release file: the build backend is asked, the lock is read, nothing is guessed."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import parse_sdist_filename

from elpack import strict
from elpack.archives import read_sdist
from elpack.config import FirstParty, parse_release
from elpack.errors import ConfigError, LockError, Problem
from elpack.freshness import check_fresh
from elpack.init import (
    Found,
    Own,
    check_project,
    choose_targets,
    commands_of,
    declared_name,
    own_dist,
    packager_of,
    release_text,
    runtime_extras,
)
from elpack.lockfile import parse_uv_lock
from elpack.model import ARCHES, SourceKind
from elpack.naming import dist_name
from elpack.run import Command
from elpack.selection import select
from elpack.steps.checkouts import local_source
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import SdistFacts, UvLock
    from elpack.run import Runner
    from elpack.targets import TargetChoice
    from elpack.workspace import Workspace

_EARLIEST = dt.date(1980, 1, 1)
_NO_VERSION = "0.0.0"
"""What setuptools calls a project that names no version."""
_SKIPPED = ("build", "dist", "node_modules")


@dataclass(frozen=True, slots=True)
class Written:
    """What was found out and written, and what the user should know of it."""

    found: Found
    notices: tuple[str, ...]


def init(workspace: Workspace, runner: Runner) -> Written:
    """Write the release file of the project in the workspace's folder.

    Raises `ConfigError` when there is one already or the project lacks what a package needs, `LockError` when its
    lock cannot be used, `BuildError` when its backend makes no sdist.
    """
    if os.path.lexists(workspace.file):
        fix = "change it, or move it away first; `elpack check` says whether it is right"
        raise ConfigError(Problem("there is a release file already", where=str(workspace.file), fix=fix))
    pyproject = _pyproject(workspace.home / "pyproject.toml")
    check_project(pyproject)
    _keep_out_of_git(workspace)
    facts = _ask_backend(pyproject, workspace, runner)
    name, version = parse_sdist_filename(facts.filename)
    _check_made(pyproject, name, version)
    lock, notices = _lock(workspace, name)
    commands = commands_of(script.name for script in facts.scripts)
    requires = [_requires_python(facts), *([lock.requires_python] if lock else [])]
    machine = platform.machine()
    targets = choose_targets(requires, machine if machine in ARCHES else ARCHES[0])
    own: tuple[Own, ...] = ()
    if lock is not None:
        check_fresh(lock, name, facts.metadata.requires_dist)
        own = _own(lock, name, version, targets)
    date, dated = _date(lock, workspace.home, runner)
    found = Found(
        name=name,
        version=version,
        summary=facts.metadata.summary,
        packager=packager_of(pyproject),
        commands=commands,
        locked=lock is not None,
        targets=targets,
        date=date,
        dated=dated,
        own=own,
        extras=runtime_extras(facts.metadata.extras),
        modules=facts.modules,
    )
    if commands and lock is None and not notices:
        notices += (_unlocked(name, commands),)
    text = release_text(found)
    parse_release(text, workspace.file.name)  # a mistake in it is better told now than by the next command
    with workspace.file.open("x", encoding="utf-8") as file:
        file.write(text)
    return Written(found, notices)


def _pyproject(path: Path) -> dict[str, Any]:
    if not path.is_file():
        fix = "run it in the project's folder, or name that: elpack init DIR"
        raise ConfigError(Problem("there is no pyproject.toml", where=str(path.parent), fix=fix))
    try:
        return strict.toml(path.read_bytes())
    except ValueError as error:
        raise ConfigError(Problem(str(error), where=str(path))) from error


def _keep_out_of_git(workspace: Workspace) -> None:
    """Make the work folder ignore itself: the project's own .gitignore, and so its clean state, is left alone."""
    workspace.work.mkdir(parents=True, exist_ok=True)
    ignore = workspace.work / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def _ask_backend(pyproject: Mapping[str, Any], workspace: Workspace, runner: Runner) -> SdistFacts:
    """Return what the sdist says that the project's backend makes: names, versions and scripts may be dynamic."""
    name = declared_name(pyproject) or dist_name("project")
    made = local_source(FirstParty(name, path="."), workspace, runner)
    if made is None:
        raise AssertionError("the pyproject.toml was there")
    file, path = made
    facts = read_sdist(path, file.sha256)
    shutil.rmtree(path.parent)
    return facts


def _check_made(pyproject: Mapping[str, Any], name: NormalizedName, version: Version) -> None:
    static = pyproject.get("project", {}).get("version", "")
    problems = []
    if name == "unknown":
        problems.append(Problem("the project has no name", "pyproject.toml", "its backend calls it UNKNOWN"))
    if str(version) == _NO_VERSION and static != _NO_VERSION:
        why = "its backend says 0.0.0, as setuptools does where none is given"
        problems.append(Problem("the project has no version", "pyproject.toml", why, fix='[project] version = "…"'))
    if problems:
        raise ConfigError(*problems)


def _lock(workspace: Workspace, name: NormalizedName) -> tuple[UvLock | None, tuple[str, ...]]:
    path = workspace.home / "uv.lock"
    if not path.exists():
        return None, ()
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise LockError(Problem("is not UTF-8 text", where=str(path), fix="uv lock")) from error
    lock = parse_uv_lock(text, str(path))
    if any(dist.name == name for dist in lock.dists):
        return lock, ()
    notice = f"uv.lock does not hold {name} and is not used: uv locks what [project] in pyproject.toml says"
    return None, (notice,)


def _unlocked(name: NormalizedName, commands: tuple[str, ...]) -> str:
    return (
        f"{name} has commands ({', '.join(commands)}) and no lock: it is packaged as a library, what it requires is "
        "left to the target. For an application: uv lock, remove elpack.toml, elpack init"
    )


def _requires_python(facts: SdistFacts) -> SpecifierSet:
    try:
        return SpecifierSet(facts.metadata.requires_python)
    except InvalidSpecifier as error:
        what = f"{facts.metadata.requires_python!r} is not a version specifier"
        raise ConfigError(Problem(what, "pyproject.toml: project.requires-python")) from error


def _own(lock: UvLock, root: NormalizedName, version: Version, targets: tuple[TargetChoice, ...]) -> tuple[Own, ...]:
    """Return those dists of the closure that come from no index. Raises `LockError` when one cannot be packaged."""
    local = {dist.name: dist for dist in lock.dists if dist.source is not SourceKind.REGISTRY and dist.name != root}
    names = frozenset(local)
    needed: set[NormalizedName] = set()
    for choice in targets:
        for arch in choice.arches:
            target = resolve_target(choice, arch)
            selection = select(lock, root, target, root_version=version, first_party=names)
            needed.update(dist.name for dist in selection.dists)
    found: list[Own] = []
    problems: list[Problem] = []
    for name in sorted(needed & local.keys()):
        try:
            found.append(own_dist(local[name], lock.path))
        except LockError as error:
            problems += error.problems
    if problems:
        raise LockError(*problems)
    return tuple(found)


def _date(lock: UvLock | None, home: Path, runner: Runner) -> tuple[dt.date, str]:
    """Return the same date for the same project on every day, and where it comes from."""
    files = [file for dist in lock.dists for file in (dist.sdist, *dist.wheels) if file] if lock else []
    if uploads := [file.uploaded for file in files if file.uploaded is not None]:
        return _day(max(uploads)), "when the newest file of the lock was uploaded"
    git = runner(Command(("git", "-C", str(home), "log", "-1", "--format=%ct"))) if shutil.which("git") else None
    if git is not None and git.returncode == 0 and git.stdout.strip().isdigit():
        return _day(int(git.stdout)), "that of the last commit"
    return _day(max(int(path.stat().st_mtime) for path in _files(home))), "when the newest file was changed"


def _files(home: Path) -> Iterator[Path]:
    yield home / "pyproject.toml"
    for folder, folders, names in os.walk(home):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        yield from (path for name in names if (path := home / folder / name).is_file() and name != "uv.lock")


def _day(seconds: int) -> dt.date:
    return max(_EARLIEST, dt.datetime.fromtimestamp(seconds, dt.UTC).date())

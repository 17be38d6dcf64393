"""The project as it is written down: release file, overrides and changelog, nothing fetched yet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.changelog import parse_changelog
from elpack.config import Release, parse_release
from elpack.errors import ConfigError, Problem
from elpack.overrides import parse_overrides
from elpack.steps.texts import own_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

    from elpack.changelog import Entry
    from elpack.overrides import Override
    from elpack.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Project:
    """The release and its overrides, read and checked, nothing fetched yet."""

    release: Release
    overrides: Mapping[NormalizedName, Override]
    changelog: tuple[Entry, ...] = ()


def read_project(workspace: Workspace) -> Project:
    """Read the release file and all overrides. Raises `ConfigError` with the mistakes of all of them."""
    problems: list[Problem] = []
    release, overrides = None, {}
    changelog: tuple[Entry, ...] = ()
    if not workspace.file.exists():
        fix = "write one; docs/reference/release-file.md describes it"
        raise ConfigError(Problem("there is no release file", where=str(workspace.file), fix=fix))
    try:
        release = parse_release(_text(workspace.file, workspace.file.name), workspace.file.name)
        problems += _missing_files(release, workspace)
    except ConfigError as error:
        problems += error.problems
    try:
        files = {f"specs/overrides/{path.name}": path for path in sorted(workspace.overrides.glob("*.toml"))}
        problems += _leading_out(files.values(), workspace, "specs/overrides")
        overrides = parse_overrides({name: _text(path, name) for name, path in files.items()})
    except ConfigError as error:
        problems += error.problems
    try:
        name, path = "specs/changelog.toml", workspace.changelog
        changelog = parse_changelog(_text(path, name), name) if path.exists() else ()
    except ConfigError as error:
        problems += error.problems
    if problems or release is None:
        raise ConfigError(*problems)
    return Project(release, overrides, changelog)


def _text(path: Path, name: str) -> str:
    return own_text(path, name, ConfigError)


def _missing_files(release: Release, workspace: Workspace) -> list[Problem]:
    """Return what the release file names beside itself and is not there: better told now than after the build."""
    file = workspace.file.name
    problems = []
    for asset in release.assets:
        path, where = workspace.home / asset.source, f"{file}: asset source {asset.source}"
        if not path.is_file():
            problems.append(Problem("the file is not there", where))
        problems += _leading_out([path], workspace, where)
    of_system = release.system.smoke.files if release.system else ""
    for key, files in (("smoke.files", release.smoke.files), ("system.smoke.files", of_system)):
        if files and not (workspace.home / files).is_dir():
            problems.append(Problem("the folder is not there", where=f"{file}: {key} {files}"))
        elif files:
            folder = workspace.home / files
            problems += _leading_out([folder, *folder.rglob("*")], workspace, f"{file}: {key} {files}")
    return problems


def _leading_out(paths: Iterable[Path], workspace: Workspace, where: str) -> Iterator[Problem]:
    """Yield the paths whose links lead to files of the host, which would get into packages or logs."""
    home = workspace.home.resolve()
    for path in paths:
        if not Path(os.path.realpath(path)).is_relative_to(home):
            what = f"{path.relative_to(workspace.home)} leads out of the release's folder"
            yield Problem(what, where, fix="put a copy of the file there, or a link within the folder")

"""The lock of what the builds of wheels require, for every interpreter: made anew, told when stale, fetched."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING

from packaging.pylock import Pylock, PylockValidationError

from elpack import strict
from elpack.atomic import write_text
from elpack.buildlock_text import toml_array, toml_string
from elpack.errors import BuildLockError, FetchError, Problem
from elpack.fetch import fetch_all
from elpack.lockfile import filename_refused, url_refused
from elpack.model import RemoteFile, Sha256
from elpack.plan.policy import best_wheel
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.texts import own_text
from elpack.wheels.columns import Column, fitting_tags

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import PackageSdist, PackageWheel

    from elpack.run import Runner
    from elpack.wheels.model import Wheels
    from elpack.workspace import Workspace

LOCK = "pylock.wheels.toml"
_RENEW = "elpack lock"
_GLIBC = (2, 28)
"""That of the images: no build requirement may need a newer one."""
_HEADER = """\
# Build requirements, recursively, of wheels for every interpreter: PEP 751, pinned by sha256.
# Made by `elpack lock`; do not edit.
"""
_UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "operation timed out")


def renew_wheels_lock(
    wheels: Wheels, requires: Collection[str], workspace: Workspace, runner: Runner, index: str
) -> None:
    """Write the lock anew: `requires`, PEP 508, for all interpreters and architectures of the release.

    Raises `BuildLockError` when they do not fit together, `FetchError` when the index cannot be reached.
    """
    sandbox = LockSandbox.here(runner, workspace.work / "lock", os.environ)
    folder = sandbox.folder()
    (folder / "pyproject.toml").write_text(_project(wheels, requires))
    exported = ""
    for arguments in (
        ("lock", "--python", sandbox.python, "--default-index", index),
        ("export", "--format", "pylock.toml", "--frozen", "--no-emit-project", "--no-header", "--offline"),
    ):
        done = sandbox.uv_run(folder, *arguments)
        if done.returncode != 0:
            reached = not any(sign in done.stderr for sign in _UNREACHABLE)
            kind = BuildLockError if reached else FetchError
            raise kind(Problem(f"uv {arguments[0]} could not lock {LOCK}\n{done.tail()}", LOCK, fix=_RENEW))
        exported = done.stdout
    body = re.sub(r"^(#.*|index = .*)\n", "", exported, flags=re.MULTILINE).strip()
    own = f"[tool.elpack]\ndigest = {toml_string(_digest(wheels, requires))}\n"
    write_text(workspace.home / LOCK, f"{_HEADER}{body}\n\n{own}")


def locked_files(
    wheels: Wheels, requires: Collection[str], workspace: Workspace
) -> Mapping[tuple[str, str], tuple[RemoteFile, ...]]:
    """Return the files that pip may install, by tag of the interpreter and architecture.

    Raises `BuildLockError` with all that is wrong: there is no lock, it is stale, or what it pins cannot be trusted.
    """
    path = workspace.home / LOCK
    if not path.exists():
        raise BuildLockError(Problem("there is no lock of what wheels require to be built", LOCK, fix=_RENEW))
    try:
        document = strict.toml(own_text(path, LOCK, BuildLockError))
        lock = Pylock.from_dict(document)
    except (ValueError, PylockValidationError, RecursionError) as error:
        raise BuildLockError(Problem(str(error), LOCK, fix=_RENEW)) from error
    if (document.get("tool") or {}).get("elpack", {}).get("digest") != _digest(wheels, requires):
        what = "it was made for other requirements, interpreters or architectures than those of the release"
        raise BuildLockError(Problem(what, LOCK, fix=_RENEW))
    problems: list[Problem] = []
    found = {
        (one.tag, arch): tuple(_chosen(lock, Column(one, arch), problems))
        for one in wheels.interpreters
        for arch in wheels.arches
    }
    if problems:
        raise BuildLockError(*dict.fromkeys(problems))
    return found


def wheelhouse(files: Sequence[RemoteFile], into: Path, workspace: Workspace, *, offline: bool) -> Path:
    """Fill a folder with locked files, fetched by their hash, and return it; its name tells what is in it."""
    digest = hashlib.sha256("\n".join(sorted(file.sha256 for file in files)).encode()).hexdigest()[:16]
    folder = into / digest
    paths = fetch_all(list(files), workspace.downloads, offline=offline)
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        place = folder / path.name
        if not place.exists():
            os.link(path, place)
    return folder


def _digest(wheels: Wheels, requires: Collection[str]) -> str:
    inputs = [sorted(requires), [one.tag for one in wheels.interpreters], wheels.arches]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _project(wheels: Wheels, requires: Collection[str]) -> str:
    """Return what uv locks. It only locks for ranges of Python that include its own."""
    minors = {int(one.version.partition(".")[2]) for one in wheels.interpreters} | {sys.version_info[1]}
    environments = sorted(
        f"python_full_version >= '{one.version}' and python_full_version < '3.{int(one.version.partition('.')[2]) + 1}'"
        f" and sys_platform == 'linux' and implementation_name == '{one.implementation}'"
        f" and platform_machine == '{arch}'"
        for one in wheels.interpreters
        for arch in wheels.arches
    )
    return "\n".join(
        [
            "[project]",
            'name = "elpack-wheel-requirements"',
            'version = "0"',
            f'requires-python = ">=3.{min(minors)},<3.{max(minors) + 1}"',
            f"dependencies = {toml_array(sorted(requires))}",
            "",
            "[tool.uv]",
            f"environments = {toml_array(environments)}",
            "",
        ]
    )


def _chosen(lock: Pylock, column: Column, problems: list[Problem]) -> Iterator[RemoteFile]:
    """Yield the best file of each requirement: a wheel, else the sdist, which pip then builds in the container.

    PyPy brings cffi itself; of the sdist pip makes an empty wheel there, as its setup.py intends.
    """
    ranks = fitting_tags(column, _GLIBC)
    environment: dict[str, str | frozenset[str]] = {**column.interpreter.marker_environment(column.arch)}
    for package in lock.packages:
        if package.marker is not None and not package.marker.evaluate(environment, "lock_file"):
            continue
        wheels = tuple(_file(wheel, problems) for wheel in package.wheels or ())
        if wheel := best_wheel(wheels, ranks):
            yield wheel
        elif package.sdist:
            yield _file(package.sdist, problems)
        else:
            what = f"{package.name} has no file for {column.interpreter.tag} on {column.arch}"
            problems.append(Problem(what, LOCK, fix=_RENEW))


def _file(file: PackageSdist | PackageWheel, problems: list[Problem]) -> RemoteFile:
    url, sha256 = file.url or "", file.hashes.get("sha256", "")
    reasons = (url_refused(url, loopback=False), filename_refused(file.filename))
    problems += [Problem(f"{file.filename}: {reason}", LOCK, fix=_RENEW) for reason in reasons if reason]
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        problems.append(Problem(f"{file.filename}: a sha256 is needed to trust this file", LOCK, fix=_RENEW))
    return RemoteFile(file.filename, url.partition("#")[0], Sha256(sha256), file.size)

"""Carries spec and sources into a build tree, and finished RPMs out of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.environment import UID
from elpack.errors import BuildError, DiskFullError, Problem
from elpack.tools.dnf import folder, is_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from elpack.builders import BuildJob, Repository

_MODE = 0o644
_FOLDER_MODE = 0o755
"""Whatever the umask of who runs elpack is."""


def stage(job: BuildJob, home: Path) -> None:
    """Lay out rpmbuild's tree in `home` with the job's files, owned by the build user."""
    shutil.rmtree(home, ignore_errors=True)
    tree = home / "build"
    for name in ("BUILD", "BUILDROOT", "RPMS", "SRPMS"):
        (tree / name).mkdir(parents=True)
    copy_inputs(job, tree / "SPECS", tree / "SOURCES")
    for path in (home, *home.rglob("*")):
        os.chown(path, UID, UID)
        if path.is_dir():
            path.chmod(_FOLDER_MODE)


def restage(job: BuildJob, home: Path) -> None:
    """Lay the job's files anew after code from outside ran: it may have changed spec, sources and rpm's settings.

    What it made of the sources stays. Nothing that it left is followed: a link is removed, never its goal.
    """
    tree = home / "build"
    for path in (*home.iterdir(), *tree.iterdir()):
        if path.is_symlink() or (path != tree and path.name not in {"BUILD", "BUILDROOT", "RPMS", "SRPMS"}):
            _clear(path)
    copy_inputs(job, tree / "SPECS", tree / "SOURCES")
    for path in (tree / "SPECS", tree / "SOURCES"):
        for file in (path, *path.rglob("*")):
            os.chown(file, UID, UID)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def copy_inputs(job: BuildJob, specs: Path, sources: Path) -> None:
    """Copy spec and sources into two new folders. Modes are fixed, because the SRPM records them.

    Raises `BuildError` for a missing file.
    """
    for place in (specs, sources):
        place.mkdir(parents=True)
    _put(job, job.spec, specs)
    for source in job.sources:
        _put(job, source, sources)


def keep_repositories(repositories: Iterable[Repository], into: Path) -> tuple[Repository, ...]:
    """Return the repositories, with copies of those that are folders: their makers may clear them away."""
    kept = []
    for repository in repositories:
        if is_folder(repository):
            copy = into / repository.id
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder(repository), copy, copy_function=_link)
            repository = replace(repository, location=str(copy))  # noqa: PLW2901
        kept.append(repository)
    return tuple(kept)


def _link(source: str, copy: str) -> None:
    try:
        os.link(source, copy)
    except OSError:  # another file system
        shutil.copyfile(source, copy)


def _put(job: BuildJob, file: Path, into: Path) -> None:
    copy = into / file.name
    try:
        shutil.copyfile(file, copy)
    except FileNotFoundError as error:
        raise BuildError(Problem(f"{file} is missing", where=job.name, fix="run again, it is fetched anew")) from error
    except OSError as error:
        raise _disk_full(error, job.name) from error
    copy.chmod(_MODE)


def collect(
    job: BuildJob,
    places: Sequence[Path],
    out: Path,
    check: Callable[[tuple[Path, ...]], object] = lambda _: None,
) -> tuple[Path, tuple[Path, ...]]:
    """Copy what was built below these places into the job's folder in `out`, and return SRPM and RPMs.

    The folder is there with all of them or not at all, so whoever finds it knows which RPMs are the job's: it may
    give several. The build ran code that nobody vouches for: links that it left in place of results are refused, and
    `check` may refuse the copies, SRPM first, before they have their names.
    """
    files = sorted(path for place in places for path in results(job, place))
    srpms = [path for path in files if path.name.endswith(".src.rpm")]
    rpms = [path for path in files if path not in srpms]
    if len(srpms) != 1 or not rpms:
        found = ", ".join(path.name for path in files) or "nothing"
        raise BuildError(Problem(f"expected one SRPM and at least one RPM, found {found}", where=job.name))
    return _deliver(job, (srpms[0], *rpms), out, check)


def _deliver(
    job: BuildJob, files: tuple[Path, ...], out: Path, check: Callable[[tuple[Path, ...]], object]
) -> tuple[Path, tuple[Path, ...]]:
    """Copy the SRPM, which comes first, and the RPMs into the job's folder, which gets its name when it is whole."""
    final, partial = out / job.name, out / f".{job.name}.partial"
    try:
        partial.mkdir(parents=True)
        for file in files:
            _take(job, file, partial / file.name)
        check(tuple(partial / file.name for file in files))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    except OSError as error:
        raise _disk_full(error, job.name) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final / files[0].name, tuple(final / file.name for file in files[1:])


def _take(job: BuildJob, file: Path, copy: Path) -> None:
    """Copy a file that a build left, and nothing but a file: what it is is asked of what was opened."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as source:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
            raise BuildError(Problem(f"the build left a link named {file.name}", where=job.name))
        with copy.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    copy.chmod(_MODE)


def results(job: BuildJob, place: Path) -> Iterator[Path]:
    """Yield the RPMs below a folder that a build wrote to. Raises `BuildError` for a link in place of one."""
    if not stat.S_ISDIR(place.lstat().st_mode):
        raise BuildError(Problem(f"the build replaced {place.name} with something else", where=job.name))
    for parent, _, names in os.walk(place):
        for name in names:
            path = Path(parent) / name
            if not name.endswith(".rpm"):
                continue
            if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_nlink != 1:
                raise BuildError(Problem(f"the build left a link named {name}", where=job.name))
            yield path


def _disk_full(error: OSError, where: str) -> Exception:
    """Return `DiskFullError` when that is what the error says, else the error itself."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(Problem("no space left on the disk", where=where, fix="free some space, then run again"))
    return error

"""Every fatal error of elpack, each with its exit code; `cli` alone turns them into text."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import ClassVar

from elpack.plain import plain


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, told to the person who can mend it.

    what: the fact, one sentence. where: file, key, package or lock line. why: the likely cause.
    fix: what to type or change next. Empty strings are not printed, and nothing is raw that came from outside.
    """

    what: str
    where: str = ""
    why: str = ""
    fix: str = ""

    def __str__(self) -> str:
        what = plain(self.what, lines=True)
        parts = [f"{plain(self.where)}: {what}" if self.where else what]
        if self.why:
            parts.append(f"  why: {plain(self.why, lines=True)}")
        if self.fix:
            parts.append(f"  fix: {plain(self.fix, lines=True)}")
        return "\n".join(parts)


class ElpackError(Exception):
    """Base of all errors that reach the user; holds every problem found, not just the first."""

    exit_code: ClassVar[int] = 70
    title: ClassVar[str] = "elpack failed"

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ConfigError(ElpackError):
    """The release file or an override file cannot be used."""

    exit_code = 10
    title = "the release file has mistakes"


class LockError(ElpackError):
    """The application's uv.lock is missing, stale, unknown or holds what elpack does not support."""

    exit_code = 11
    title = "the application's lock cannot be used"


class BuildLockError(ElpackError):
    """The lock of build requirements is missing, stale or cannot be made."""

    exit_code = 12
    title = "the build lock cannot be used"


class FetchError(ElpackError):
    """A file or index could not be had: unreachable, missing, truncated."""

    exit_code = 13
    title = "a download failed"


class HashMismatchError(ElpackError):
    """A file is there, but it is not the one that was pinned."""

    exit_code = 14
    title = "a file is not what the lock pinned"


class PlanError(ElpackError):
    """The whole set contradicts itself or the target; nothing was built."""

    exit_code = 15
    title = "the plan cannot be carried out"


class ToolMissingError(ElpackError):
    """A program that a step needs is not installed."""

    exit_code = 16
    title = "a tool is missing"


class PrivilegeError(ElpackError):
    """A step needs root."""

    exit_code = 17
    title = "this step needs root"


class BuildError(ElpackError):
    """A package did not build."""

    exit_code = 18
    title = "a build failed"


class DiskFullError(ElpackError):
    """The disk is full; finished work is kept."""

    exit_code = 19
    title = "the disk is full"


class RepositoryError(ElpackError):
    """The dnf repository could not be made or does not hold together."""

    exit_code = 20
    title = "the repository cannot be made"


class InstallError(ElpackError):
    """dnf refused to install or remove the packages in a clean root."""

    exit_code = 21
    title = "the installation failed"


class SmokeError(ElpackError):
    """The packages are installed, but do not do their work."""

    exit_code = 22
    title = "the smoke test failed"


class ArchiveError(ElpackError):
    """A wheel or sdist is malformed or hostile; nothing of it was used."""

    exit_code = 23
    title = "an archive was refused"


class MissingMemberError(ArchiveError):
    """An archive is sound, but lacks a file that it should hold."""

    title = "an archive lacks a file"


class StandinError(ElpackError):
    """The stand-in base could not be made."""

    exit_code = 24
    title = "the stand-in base could not be made"


class CommandError(ElpackError):
    """A tool failed where no better class tells why."""

    exit_code = 25
    title = "a command failed"


class StoreError(ElpackError):
    """The store of finished work cannot be used: locked by another run, or not writable."""

    exit_code = 26
    title = "the store cannot be used"


class SigningError(ElpackError):
    """Signing failed, or the key that was named cannot be used."""

    exit_code = 27
    title = "signing failed, or the key cannot be used"


class VerifyError(ElpackError):
    """What lies there is not what it is said to be, or a second build gave something else."""

    exit_code = 28
    title = "verification found differences"


class PublishError(ElpackError):
    """Nothing was published; what customers see is what it was before."""

    exit_code = 29
    title = "it was not published"


class ImageError(ElpackError):
    """An image could not be made, or is not what it should be."""

    exit_code = 30
    title = "the image cannot be made"


class EngineError(ElpackError):
    """podman is missing, does not answer, or failed."""

    exit_code = 31
    title = "podman cannot be used"


class RegistryError(ElpackError):
    """A registry refused or broke off; what it holds is told."""

    exit_code = 32
    title = "the registry refused"


class ForeignArchError(ElpackError):
    """Nothing here can build for, or run, another architecture: no worker, no emulation, no cross compiler."""

    exit_code = 33
    title = "nothing here builds for that architecture"


class WheelError(ElpackError):
    """A wheel or an sdist for an index could not be made, or is not what it says."""

    exit_code = 34
    title = "the wheel cannot be made, or is refused"


class InterruptedRunError(ElpackError):
    """The user stopped the run; the next run goes on from here."""

    exit_code = 130
    title = "interrupted"


def says_full(text: str) -> bool:
    """Tell whether a program says that the disk, or its user's share of it, is full."""
    return any(sign in text for sign in ("No space left on device", "Disk quota exceeded"))


def from_os(error: OSError, full: str = "") -> ElpackError | None:
    """Return what an error of the operating system means to the user, None where only a developer knows.

    full: the likely place when the disk is full and the error names none, as a failed write does.
    """
    where = str(error.filename or "")
    # what copied a whole tree tells many errors in words, and has no number
    if error.errno in {errno.ENOSPC, errno.EDQUOT} or (error.errno is None and says_full(str(error))):
        return DiskFullError(Problem("no space left", where=where or full, fix="free some, then run again"))
    if error.errno == errno.EROFS:
        fix = "name other folders by --work and --dist, or mount it writable"
        return StoreError(Problem("read-only file system", where, fix=fix))
    if error.errno in {errno.EACCES, errno.EPERM}:
        why = "it belongs to another user, maybe since an earlier run with sudo"
        return PrivilegeError(Problem(f"{error.strerror}".lower(), where, why, fix="run the same command with sudo"))
    if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}:
        fix = "move it out of the way, then run again"
        return StoreError(Problem(f"{error.strerror}".lower(), where, "something else has the place of elpack's", fix))
    if error.errno in {errno.EIO, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE} and where:
        return StoreError(Problem(f"{error.strerror}".lower(), where, fix="look at that path and at its disk"))
    return None

"""Fetches pinned files side by side; what stands in the folder under its own name afterwards has the right digest."""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from elpack.errors import DiskFullError, ElpackError, FetchError, HashMismatchError, InterruptedRunError, Problem
from elpack.fetch.transport import Patience, TemporaryFailureError, Transport, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from http.client import HTTPResponse

    from elpack.model import RemoteFile, Sha256

P = ParamSpec("P")
T = TypeVar("T")

_CHUNK = 1 << 18
_LARGEST = 4 << 30
_SUFFIX = ".part"
_STALE = 3600.0
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]*")
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_GRAVEST_FIRST = (DiskFullError, HashMismatchError, FetchError, InterruptedRunError)


class Progress(Protocol):
    """Told how many bytes of a file are there, from worker threads but never from two at once.

    The count falls back to 0 when a download starts again. A file that needs no download is told once, complete.
    """

    def __call__(self, file: RemoteFile, received: int) -> None:
        """Take note."""
        ...


def fetch_all(
    files: Sequence[RemoteFile],
    into: Path,
    progress: Progress | None = None,
    *,
    notice: Callable[[str], None] = lambda _: None,
    offline: bool = False,
    patience: Patience | None = None,
    threads: int = 8,
) -> dict[Sha256, Path]:
    """Return the path below `into` of each file, by digest, after fetching those that are missing or wrong.

    `notice` is told of files that are not what they were any more; they are fetched anew.

    Raises one error with all that failed: `DiskFullError`, `HashMismatchError` or `FetchError`, whichever is the
    gravest. Files that were fetched stay, so the next run goes on from there.
    """
    wanted = _by_digest(files)
    into.mkdir(parents=True, exist_ok=True)
    _remove_stale_parts(into)
    with Transport(patience) as transport, ThreadPoolExecutor(threads, "fetch") as pool:
        job = _Job(into, progress, transport, notice, offline=offline)
        futures = {digest: pool.submit(job.ensure, file) for digest, file in wanted.items()}
        try:
            wait(futures.values())
        except BaseException:
            transport.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if errors := [error for future in futures.values() if (error := future.exception())]:
        raise _gravest(errors)
    return {digest: future.result() for digest, future in futures.items()}


class _Job:
    def __init__(
        self,
        into: Path,
        progress: Progress | None,
        transport: Transport,
        notice: Callable[[str], None],
        *,
        offline: bool,
    ) -> None:
        self.transport = transport
        self._into = into
        self._progress = progress
        self._notice = notice
        self._offline = offline
        self._lock = threading.Lock()

    def ensure(self, file: RemoteFile) -> Path:
        path = self._into / file.filename
        found = _digest_of(path)
        if found == file.sha256:
            size = path.stat().st_size
            if file.size not in {None, size}:
                raise HashMismatchError(_size_mismatch(file, f"{size} bytes"))
            self._tell(file, size)
            return path
        if self._offline:
            raise _offline_error(file, path, found)
        if found:
            self._notice(f"{path}: is not the file that is pinned, and is fetched anew")
        try:
            self.transport.get(file.url, lambda response: self._try(file, response))
        except DiskFullError:
            self.transport.stop()
            raise
        return path

    def _try(self, file: RemoteFile, response: HTTPResponse) -> None:
        try:
            self._receive(file, response)
        except HashMismatchError as error:
            # a broken cache on the way passes, a replaced file does not
            raise TemporaryFailureError("not the file that is pinned", grave=error) from error

    def _receive(self, file: RemoteFile, response: HTTPResponse) -> None:
        self._tell(file, 0)
        part = _guarded(self._into, _new_part, self._into, file.filename)
        try:
            try:
                digest = self._copy(file, response, part)
            finally:
                # what could not be flushed was told already; a second error here would hide it
                with suppress(OSError):
                    part.close()
            if digest != file.sha256:
                raise HashMismatchError(_digest_mismatch(file, digest, shown(file.url)))
            _guarded(self._into, _publish, Path(part.name), self._into / file.filename)
        finally:
            Path(part.name).unlink(missing_ok=True)

    def _copy(self, file: RemoteFile, response: HTTPResponse, part: IO[bytes]) -> str:
        """Write the answer to `part` and return its digest; what is too short or too long fails."""
        announced = response.length
        expected = file.size if file.size is not None else announced
        if announced is not None and announced != expected:
            raise HashMismatchError(_size_mismatch(file, f"{announced} bytes"))
        digest, received, start = hashlib.sha256(), 0, time.monotonic()
        # Nothing is read behind the announced end: some servers keep the connection open.
        while received != announced and (chunk := response.read1(_CHUNK)):
            received += len(chunk)
            if received > (_LARGEST if expected is None else expected):
                raise HashMismatchError(_size_mismatch(file, "more"))
            digest.update(chunk)
            _guarded(self._into, part.write, chunk)
            self._tell(file, received)
            self.transport.check_pace(received, start)
        if expected is not None and received < expected:
            raise TemporaryFailureError(f"the connection broke after {received} of {expected} bytes")
        response.read()
        _guarded(self._into, part.flush)
        return digest.hexdigest()

    def _tell(self, file: RemoteFile, received: int) -> None:
        if self._progress:
            with self._lock:
                self._progress(file, received)


def _by_digest(files: Sequence[RemoteFile]) -> dict[Sha256, RemoteFile]:
    names: dict[str, RemoteFile] = {}
    problems = []
    for file in files:
        if not _FILENAME.fullmatch(file.filename):
            problems.append(Problem(f"{file.filename!a} is no name for a file", shown(file.url)))
        elif names.setdefault(file.filename, file).sha256 != file.sha256:
            problems.append(Problem("is wanted with two different digests", file.filename))
    if problems:
        raise FetchError(*problems)
    return {file.sha256: file for file in reversed(names.values())}


def _remove_stale_parts(into: Path) -> None:
    # A killed run leaves its part; a living one, maybe of another process, was written to a moment ago.
    for part in into.glob(f".*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in the folder, "" when there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise FetchError(Problem(f"cannot be read: {error.strerror}", str(path))) from error


def _new_part(into: Path, filename: str) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=into, prefix=f".{filename[:100]}.", suffix=_SUFFIX, delete=False)


def _publish(part: Path, path: Path) -> None:
    part.chmod(0o644)
    part.replace(path)


def _guarded(into: Path, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do something to the disk; its errors must not pass for the network's."""
    try:
        return action(*args, **kwargs)
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise DiskFullError(
                Problem("no space left for downloads", str(into), fix="free some, then run again")
            ) from error
        raise FetchError(Problem(f"cannot be written: {error.strerror}", str(into))) from error


def _gravest(errors: Sequence[BaseException]) -> BaseException:
    """Return one error with all problems; what is no error of elpack's is a bug and goes first."""
    known = [error for error in errors if isinstance(error, ElpackError)]
    if len(known) < len(errors):
        return next(error for error in errors if not isinstance(error, ElpackError))
    kind = min((type(error) for error in known), key=_GRAVEST_FIRST.index)
    # After a full disk the other downloads were stopped, which is no news.
    told = [error for error in known if not isinstance(error, InterruptedRunError)] or known
    return kind(*dict.fromkeys(problem for error in told for problem in error.problems))


def _offline_error(file: RemoteFile, path: Path, found: str) -> ElpackError:
    if found:
        return HashMismatchError(_digest_mismatch(file, found, str(path)))
    fix = f"run once without --offline, or put the file there from {shown(file.url)}"
    return FetchError(Problem("is missing, and --offline forbids to fetch it", str(path), fix=fix))


def _digest_mismatch(file: RemoteFile, found: str, where: str) -> Problem:
    return Problem(
        f"{file.filename} has sha256 {found}, pinned is {file.sha256}",
        where,
        why="the file was changed or replaced since it was pinned, or something between rewrites downloads",
        fix="do not trust it; find out which of the two is genuine before you pin anew",
    )


def _size_mismatch(file: RemoteFile, found: str) -> Problem:
    return Problem(
        f"{file.filename} has {found}, pinned are {file.size} bytes with sha256 {file.sha256}",
        shown(file.url),
        why="this is not the file that was pinned; an error page or log-in page, for instance",
    )

"""Where an error becomes text and an exit code. Nothing else in elpack ends the process."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Never, ParamSpec

import typer

from elpack.cli.options import workspace_of
from elpack.cli.signals import Stop, stoppable
from elpack.errors import ElpackError, InterruptedRunError, Problem, from_os
from elpack.plain import plain
from elpack.report.console import console_on

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")

_LONGEST_BUG = 300


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Let an error of a command become its text and its exit code."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        work = _work(kwargs.get("file"), kwargs.get("work"))
        with stoppable() as stop:
            try:
                command(*args, **kwargs)
            except KeyboardInterrupt:
                _stopped(stop)
            except Exception as error:  # noqa: BLE001 - all of it becomes text and an exit code
                if stop.number:
                    _stopped(stop)  # what goes wrong while everything is being ended is no news
                _explain(error, work)

    return guarded


def _work(file: object, work: object) -> Path:
    """Return the work folder that a command was told of by its options, where it has them."""
    release_file = file if isinstance(file, Path) else Path("elpack.toml")
    return workspace_of(release_file, work if isinstance(work, Path) else None).work


def _stopped(stop: Stop) -> Never:
    _fail(InterruptedRunError(Problem("stopped; the next run goes on from what is finished")), stop.exit_code)


def _explain(error: Exception, work: Path) -> Never:
    if isinstance(error, ElpackError):
        _fail(error)
    if isinstance(error, typer.BadParameter):
        raise error  # wrong usage, which typer tells
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        raise error  # who reads us has seen enough; typer ends us quietly
    if isinstance(error, OSError) and (known := from_os(error, _fullest(work))):
        _fail(known)
    _crash(error, work)


def _fullest(work: Path) -> str:
    """Return which of the folders that elpack writes to has the least space left: a failed write does not tell."""
    folders = (folder for folder in (work, work.parent, Path(tempfile.gettempdir())) if folder.exists())
    return str(min(folders, key=lambda folder: shutil.disk_usage(folder).free))


def _fail(error: ElpackError, code: int | None = None) -> Never:
    with suppress(OSError):  # the terminal may be gone
        console = console_on(sys.stderr)
        console.print(f"[bold red]error:[/] {error.title}", highlight=False)
        for problem in error.problems:
            console.print(f"• {problem}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(error.exit_code if code is None else code)


def _crash(error: Exception, work: Path) -> Never:
    """Put the traceback of a bug where its reporter finds it, and only say so."""
    # a name that is not UTF-8 must not hide the bug
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    log = work / "crash.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(text)
    except OSError:
        descriptor, name = tempfile.mkstemp(prefix="elpack-crash-", suffix=".log")
        os.close(descriptor)
        log = Path(name)
        log.write_bytes(text)
    what = " ".join(plain(f"{type(error).__name__}: {error}", lines=True).split())[:_LONGEST_BUG]
    console_on(sys.stderr).print(f"error: a bug in elpack ({what}); please report it with {log}", markup=False)
    sys.exit(ElpackError.exit_code)

"""Where an error becomes text and an exit code. Nothing else in elpack ends the process."""

from __future__ import annotations

import errno
import functools
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Never, ParamSpec

from elpack.cli.options import workspace_of
from elpack.errors import ElpackError, InterruptedRunError, Problem, from_os
from elpack.report.console import console_on

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")

_LONGEST_BUG = 300


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Let an error of a command become its text and its exit code."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ElpackError as error:
            _fail(error)
        except KeyboardInterrupt:
            _fail(InterruptedRunError(Problem("stopped; the next run goes on from what is finished")))
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # who reads us has seen enough; typer ends us quietly
            if isinstance(error, OSError) and (known := from_os(error)):
                _fail(known)
            file = kwargs.get("file")
            _crash(error, workspace_of(file if isinstance(file, Path) else Path("elpack.toml")).work)

    return guarded


def _fail(error: ElpackError) -> Never:
    console = console_on(sys.stderr)
    console.print(f"[bold red]error:[/] {error.title}", highlight=False)
    for problem in error.problems:
        console.print(f"• {problem}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(error.exit_code)


def _crash(error: Exception, work: Path) -> Never:
    """Put the traceback of a bug where its reporter finds it, and only say so."""
    text = "".join(traceback.format_exception(error))
    log = work / "crash.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
    except OSError:
        log = Path(tempfile.mkstemp(prefix="elpack-crash-", suffix=".log")[1])
        log.write_text(text)
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_BUG]
    console_on(sys.stderr).print(f"error: a bug in elpack ({what}); please report it with {log}", markup=False)
    sys.exit(ElpackError.exit_code)

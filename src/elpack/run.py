"""The one door to other programs: every process elpack starts is a `Command` given to a `Runner`."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from elpack.errors import CommandError, DiskFullError, Problem, ToolMissingError, says_full
from elpack.leftovers import end_holders
from elpack.supervise import LOG, Enclosure, Pump, TimedPipe, end_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLEAN_ENV: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
"""What a tool may see of the environment unless its command says otherwise."""

_UMASK = 0o022
"""Every tool's, whatever the user's is: modes of what is built do not hang on who builds it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run. `env` is the whole environment. With `log`, both output streams go to that file.

    A program that nobody vouches for is `enclosed`; it gets no `input`, and its end by the enclosure is a value.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=lambda: CLEAN_ENV)
    log: Path | None = None
    input: str | None = None
    timeout: float | None = None
    enclosed: Enclosure | None = None

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command did. `seconds` is wall time; the streams are empty when they went to a log.

    `ended` says why its enclosure ended it, "" when it came to its own end.
    """

    command: Command
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    ended: str = ""

    def check(self) -> Completed:
        """Return self, or raise `CommandError` with the last lines of what the command said.

        Raises `DiskFullError` when it said that.
        """
        if self.returncode == 0:
            return self
        kind = DiskFullError if says_full(self.tail()) else CommandError
        raise kind(
            Problem(
                what=f"{self.command.argv[0]} ended with {self.returncode}\n{self.tail()}",
                where=str(self.command.log or ""),
                fix=f"to see it again: {self.command}",
            )
        )

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log, or of what was captured."""
        text = self.stderr or self.stdout
        if self.command.log is not None and self.command.log.exists():
            text = tail(self.command.log, lines)
        return "\n".join(text.rstrip().splitlines()[-lines:])


_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Begins a command that the kernel ends when we are killed: it has a session of its own, which no signal reaches."""

_marks: set[int] = set()
"""The open files by which a later run knows what this one started; see `marked`."""

_logged: dict[subprocess.Popen[Any], threading.Thread] = {}
"""The commands with a log that run now, and who waits. A signal reaches the whole process, so this is its own."""


class Runner(Protocol):
    """Runs one command to its end; a non-zero exit is a value, not an error."""

    def __call__(self, command: Command) -> Completed:
        """Run the command. Raises `ToolMissingError` when its program is not installed."""
        ...


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a text file without reading all of it."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 400 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def stop_logged() -> None:
    """End what threads wait for and may take long: the commands that write a log. The main thread's are its own.

    Short ones, such as unmounting, come to their own end; what they tidy up would stay behind otherwise.
    """
    for process, thread in list(_logged.items()):
        if thread is not threading.main_thread():
            _kill_group(process)


def run(command: Command) -> Completed:
    """Run a command in a process group of its own, which dies with us when we are interrupted."""
    _need(command)
    start = time.monotonic()
    if command.enclosed:
        return _run_enclosed(command, command.enclosed, start)
    output = command.log.open("ab") if command.log else None
    try:
        process = _begin(
            command,
            stdin=subprocess.PIPE if command.input is not None else subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT if output else subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=() if _is_one(command) else tuple(_marks),
        )
        if output:
            _logged[process] = threading.current_thread()
        try:
            stdout, stderr = _communicate(process, command)
        finally:
            _logged.pop(process, None)
    finally:
        if output:
            output.close()
    return Completed(command, process.returncode, stdout or "", stderr or "", time.monotonic() - start)


_MOMENT = 5.0
"""Seconds that a command gets to tidy up before it is killed."""

_PULSE = 0.25
"""Seconds between two looks at an enclosed command."""


def _run_enclosed(command: Command, enclosure: Enclosure, start: float) -> Completed:
    said, complained = bytearray(), bytearray()
    output = command.log.open("ab", buffering=0) if command.log else None
    out = Pump(output.write if output else said.extend, enclosure.log_bytes)
    pumps = (out,) if output else (out, Pump(complained.extend, enclosure.log_bytes))
    try:
        process = _begin(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out.entrance,
            stderr=pumps[-1].entrance,
            text=True,
        )
        _logged[process] = threading.current_thread()
        for pump in pumps:
            pump.begin()
        try:
            ended = _watched(process, command, enclosure, pumps)
        except BaseException:
            _kill_group(process)
            raise
        finally:
            _logged.pop(process, None)
    finally:
        with closing(output) if output else nullcontext():
            end_all(pumps)
    stdout, stderr = (bytes(stream).decode(errors="replace") for stream in (said, complained))
    return Completed(command, process.returncode, stdout, stderr, time.monotonic() - start, ended)


def _watched(process: subprocess.Popen[str], command: Command, enclosure: Enclosure, pumps: tuple[Pump, ...]) -> str:
    """Wait for an enclosed command, or end it; return why it was ended."""
    deadline = time.monotonic() + command.timeout if command.timeout else None
    end = os.pidfd_open(process.pid)
    try:
        while True:
            select.select((end,), (), (), _PULSE)
            gone = process.poll() is not None
            ended = LOG if any(pump.full for pump in pumps) else enclosure.watch()
            if gone:
                return ended
            if ended:
                _kill_group(process)
                return ended
            if deadline and time.monotonic() > deadline:
                what = f"{command.argv[0]} did not end within {command.timeout:.0f} s"
                raise CommandError(Problem(what, fix=str(command)))
    finally:
        os.close(end)


@contextmanager
def marked(mark: Path) -> Iterator[int]:
    """Let every process that is started meanwhile hold the file `mark` open, and its own children with it.

    Those that hold it already are what a killed run left; they are ended first, and the value is their number. So
    the caller holds the lock that says that no other run is at work.
    """
    mark.touch()
    number = end_holders(mark)
    descriptor = os.open(mark, os.O_RDONLY)
    _marks.add(descriptor)
    try:
        yield number
    finally:
        _marks.discard(descriptor)
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Running:
    """A program that serves us meanwhile."""

    process: subprocess.Popen[str]

    def ended(self, seconds: float) -> int | None:
        """Wait that long for its end, and return its exit status; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None


@contextmanager
def running(command: Command) -> Iterator[Running]:
    """Let a program run meanwhile, its output in the command's log; in the end it and all its children are gone.

    Raises `ToolMissingError` when it is not installed.
    """
    _need(command)
    watch, held = os.pipe()
    try:
        with (command.log or Path(os.devnull)).open("ab") as output:
            process = _begin(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=(held,) if _is_one(command) else (held, *_marks),
            )
        os.close(held)
        held = -1
        try:
            yield Running(process)
        finally:
            _kill_group(process)
            # all that it started holds the other end as well
            select.select((watch,), (), (), _MOMENT)
    finally:
        os.close(watch)
        if held >= 0:
            os.close(held)


@dataclass(frozen=True, slots=True)
class Talking:
    """A program that we talk with: it reads what we say, and we hear what it says."""

    process: subprocess.Popen[bytes]
    say: IO[bytes]
    hear: IO[bytes]

    def hang_up(self, seconds: float) -> int | None:
        """Close what it reads from us, wait for its end, and return its exit status; None while it runs."""
        with suppress(OSError):
            self.say.close()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None


@contextmanager
def talking(command: Command) -> Iterator[Talking]:
    """Let a program run meanwhile that we talk with; its complaints go to the command's log. In the end it is gone.

    Nobody vouches for it: the command is enclosed, and has a log and a timeout, after which both pipes raise
    `TimeoutError`. Raises `ToolMissingError` when it is not installed.
    """
    _need(command)
    log, enclosure = command.log or Path(os.devnull), command.enclosed or Enclosure(0)
    until = time.monotonic() + (command.timeout or 0)
    with log.open("ab", buffering=0) as output:
        pump = Pump(output.write, enclosure.log_bytes)
        try:
            process = _begin(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=pump.entrance,
            )
            _logged[process] = threading.current_thread()
            pump.begin()
            say = TimedPipe(cast("IO[bytes]", process.stdin), until)
            hear = TimedPipe(cast("IO[bytes]", process.stdout), until)
            talk = Talking(process, cast("IO[bytes]", say), BufferedReader(hear))
            try:
                yield talk
            finally:
                talk.hang_up(_MOMENT)  # it tidies up when we are gone
                _kill_group(process)
                _logged.pop(process, None)
                hear.close()
        finally:
            # what it left running in a session of its own, such as ssh's for later, may hold our pipe for long
            pump.end(_MOMENT)


def _need(command: Command) -> None:
    if shutil.which(command.argv[0], path=command.env.get("PATH")) is None:
        fix = "your package manager; elpack doctor lists all that is missing"
        raise ToolMissingError(Problem(f"{command.argv[0]} is not installed", fix=fix))


def _begin(command: Command, **streams: Any) -> subprocess.Popen[Any]:
    """Start a command in a process group of its own; streams: what else `Popen` is to know."""
    argv, env = (*_guard(command), *command.argv), dict(command.env)
    return subprocess.Popen(argv, cwd=command.cwd, env=env, start_new_session=True, umask=_UMASK, **streams)


def _guard(command: Command) -> tuple[str, ...]:
    return _DIES_WITH_US if shutil.which(_DIES_WITH_US[0], path=command.env.get("PATH")) else ()


def _is_one(command: Command) -> bool:
    """Tell a sandbox that ends as a whole, with the first process in it, and is to have nothing of the host."""
    if command.argv[0] == "unshare":
        return "--kill-child=KILL" in command.argv
    return command.argv[0] == "bwrap" and not {"--unshare-pid", "--unshare-all"}.isdisjoint(command.argv)


def _communicate(process: subprocess.Popen[str], command: Command) -> tuple[str, str]:
    try:
        return process.communicate(command.input, timeout=command.timeout)
    except BaseException as error:
        _kill_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandError(
                Problem(f"{command.argv[0]} did not end within {command.timeout:.0f} s", fix=str(command))
            ) from error
        raise


def _kill_group(process: subprocess.Popen[Any]) -> None:
    """End a command's process group: its leader gets a moment to tidy up, and nobody of the others outlives that."""
    if process.returncode is None:
        # until the leader is waited for, its number can be no other group's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        _await_end(process.pid, _MOMENT)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel, which ends it some day
            process.wait(_MOMENT)


def _await_end(pid: int, seconds: float) -> None:
    with suppress(ProcessLookupError):
        end = os.pidfd_open(pid)
        try:
            select.select((end,), (), (), seconds)
        finally:
            os.close(end)

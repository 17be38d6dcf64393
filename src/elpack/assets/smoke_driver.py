"""Takes the steps of a smoke test inside an installed root, and reports on each.

Run as root by the root's own Python, in a sandbox with namespaces of its own: ``smoke_driver.py FOLDER``. FOLDER
holds session.json, and receives report.json and one log per step. Only the standard library of 3.9 is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = dict[str, Any]

ORDINARY_ID = 1000
TAIL = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CREDENTIALS = struct.Struct("3i")


class StepError(Exception):
    """A step did not do what it should; the text says what."""


@dataclass
class Background:
    """A step that runs beside the others: its process, the exit code that it is to have, its log."""

    process: subprocess.Popen[bytes]
    exit: int
    log: Path


class Account:
    """Who a step runs as: an ordinary user whom no file knows, or one that the packages made."""

    def __init__(self, step: Step, home: str) -> None:
        self.uid, self.gid, self.home, self.name = ORDINARY_ID, ORDINARY_ID, home, "smoke"
        if step["user"]:
            try:
                entry = pwd.getpwnam(step["user"])
            except KeyError:
                raise StepError(f"the packages made no user {step['user']!r}") from None
            self.uid, self.gid, self.home, self.name = entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_name
        if self.uid == 0:
            raise StepError(f"{self.name} is root")

    def own(self, folder: Path) -> None:
        """Make a folder that only this account can use, as systemd does for StateDirectory."""
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, self.uid, self.gid)
        folder.chmod(0o750)


class Notifications:
    """The socket that systemd would hold out to a service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)  # the service writes to it as its own user
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def ready(self, pid: int, seconds: float) -> bool:
        """Tell whether READY=1 came within the time. As with NotifyAccess=main, only this process counts."""
        while select.select([self.socket], [], [], seconds)[0]:
            text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
            sender = _CREDENTIALS.unpack(ancillary[0][2])[0]
            if sender == pid and b"READY=1" in text.split(b"\n"):
                return True
            seconds = 0
        return False


class Driver:
    """Takes steps one after the other and knows which of them still run."""

    def __init__(self, folder: Path, home: str, grace: float) -> None:
        self.folder = folder
        self.home = home
        self.grace = grace
        self.running: dict[str, Background] = {}
        self.broken: set[str] = set()

    def take(self, number: int, step: Step) -> dict[str, Any]:
        """Take one step; return its entry of the report."""
        log = self.folder / f"{number:02}-{step['name'].replace(' ', '-')}.log"
        start = time.monotonic()
        entry = {"name": step["name"], "status": "ok", "seconds": 0.0, "detail": "", "log": log.name, "tail": ""}
        if self.broken:
            entry.update(status="skipped", detail=f"{min(self.broken)!r} did not start", log="")
            self.broken.discard(step["ends"])
            return entry
        try:
            self.act(step, log, start + step["timeout"])
        except (StepError, OSError) as error:
            entry.update(status="failed", detail=str(error), tail=self.tails(log))
            if step["background"]:
                self.broken.add(step["name"])
                if step["name"] in self.running:
                    kill(self.running.pop(step["name"]).process)
        entry["seconds"] = round(time.monotonic() - start, 2)
        return entry

    def act(self, step: Step, log: Path, deadline: float) -> None:
        """Start, run or end what the step says. Raises `StepError` with all that went wrong."""
        if step["background"]:
            self.start(step, log, deadline)
            return
        problems = []
        for part in (self.run, self.end):
            try:
                part(step, log, deadline)
            except StepError as error:
                problems.append(str(error))
        if left := self.wait_for_leftovers():
            problems.append("processes are left: " + ", ".join(f"{name} ({pid})" for pid, name in left.items()))
        if problems:
            raise StepError("; ".join(problems))

    def start(self, step: Step, log: Path, deadline: float) -> None:
        """Start a background step and wait until it is ready."""
        notifications = Notifications(Path("/run", f"notify-{step['name'].replace(' ', '-')}"))
        process = self.spawn(step, log, {"NOTIFY_SOCKET": str(notifications.path)})
        self.running[step["name"]] = Background(process, step["exit"], log)
        while not is_ready(step["ready"], process.pid, notifications):
            if process.poll() is not None:
                raise StepError(f"ended with {process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise StepError(f"was not ready ({step['ready']}) within {step['timeout']} s")
        if process.poll() is not None:
            raise StepError(f"ended with {process.returncode}")

    def run(self, step: Step, log: Path, deadline: float) -> None:
        """Run a step's command to its end, or send its signal, and judge what it said."""
        if step["signal"]:
            self.running[step["ends"]].process.send_signal(getattr(signal, step["signal"]))
            return
        process = self.spawn(step, log, {})
        try:
            code = self.wait(process, deadline)
        except subprocess.TimeoutExpired:
            kill(process)
            raise StepError(f"did not end within {step['timeout']} s") from None
        if code != step["exit"]:
            raise StepError(f"ended with {code}, expected {step['exit']}")
        text = _COLOUR.sub("", log.read_text(errors="replace"))
        absent = [pattern for pattern in step["expect"] if not re.search(pattern, text, re.MULTILINE)]
        if absent:
            raise StepError("the output does not match " + ", ".join(map(repr, absent)))

    def wait(self, process: subprocess.Popen[bytes], deadline: float) -> int:
        """Wait for a step, and reap background steps meanwhile: a command that ends one waits until it is gone."""
        while True:
            for background in self.running.values():
                background.process.poll()
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise

    def end(self, step: Step, _log: Path, deadline: float) -> None:
        """Wait for a background step to end by itself; kill it when it does not, and say so."""
        if not step["ends"]:
            return
        background = self.running.pop(step["ends"])
        try:
            code = background.process.wait(max(self.grace, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill(background.process)
            raise StepError(f"{step['ends']!r} still runs; {self.tails(background.log)}") from None
        if code != background.exit:
            raise StepError(f"{step['ends']!r} ended with {code}, expected {background.exit}")

    def spawn(self, step: Step, log: Path, extra: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a step's command as its user, in a session of its own."""
        account = Account(step, self.home)
        account.own(Path("/var/lib", step["state"]) if step["state"] else Path(account.home))
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin",
            "LANG": "C.UTF-8",
            "HOME": account.home,
            "USER": account.name,
            "LOGNAME": account.name,
        }
        try:
            with log.open("wb") as output:
                return subprocess.Popen(
                    step["run"],
                    cwd=step["directory"],
                    env={**environment, **step["environment"], **extra},
                    user=account.uid,
                    group=account.gid,
                    extra_groups=[],
                    umask=0o027,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise StepError(f"{step['run'][0]} does not start: {error}") from error

    def wait_for_leftovers(self) -> dict[int, str]:
        """Return, by pid, processes that no running background step accounts for; they are killed."""
        deadline = time.monotonic() + self.grace
        while (left := self.leftovers()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    def leftovers(self) -> dict[int, str]:
        """Return all processes of the sandbox but its first, this one, and background steps with their children."""
        found = {pid: (parent, name) for pid, parent, name in processes()}
        accounted = {1, os.getpid()}
        family = {background.process.pid for background in self.running.values()}
        while family:
            accounted |= family
            family = {pid for pid, (parent, _) in found.items() if parent in family}
        return {pid: name for pid, (_, name) in found.items() if pid not in accounted}

    def tails(self, log: Path) -> str:
        """Return the last lines of a step's log, and of those that run beside it."""
        logs = dict.fromkeys([log, *(background.log for background in self.running.values())])
        texts = [_COLOUR.sub("", path.read_text(errors="replace")) for path in logs if path.exists()]
        return "\n".join(line for text in texts for line in text.rstrip().splitlines()[-TAIL:])


def is_ready(how: str, pid: int, notifications: Notifications) -> bool:
    """Ask once, for a fraction of a second, whether a background step is ready."""
    if how == "notify":
        return notifications.ready(pid, 0.2)
    if not how:
        return True
    try:
        socket.create_connection(("127.0.0.1", int(how.partition(":")[2])), 1).close()
    except OSError:
        time.sleep(0.2)
        return False
    return True


def processes() -> Iterator[tuple[int, int, str]]:
    """Yield pid, parent and name of every process of this sandbox that is not a zombie."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            head, _, rest = (entry / "stat").read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if state != "Z":
                yield int(entry.name), int(parent), head.partition("(")[2]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a step's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(folder: Path) -> int:
    """Take all steps, write the report after each; return 1 when one failed."""
    session = json.loads((folder / "session.json").read_text())
    driver = Driver(folder, session["home"], session["grace"])
    report = []
    for number, step in enumerate(session["steps"], 1):
        report.append(driver.take(number, step))
        sys.stdout.write(f"{report[-1]['status']:8}{report[-1]['seconds']:6.1f} s  {step['name']}\n")
        sys.stdout.flush()
        draft = folder / "report.json.part"
        draft.write_text(json.dumps(report, indent=1))
        draft.replace(folder / "report.json")
    return int(any(entry["status"] == "failed" for entry in report))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

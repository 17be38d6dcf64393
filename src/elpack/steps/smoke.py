"""Takes a smoke test's steps inside an installed root, in a sandbox with no network but loopback."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack.builders.disk import Measure
from elpack.builders.limits import Fence, Mechanism, fence_name, memory_of, met
from elpack.builders.sandbox import filtered
from elpack.builders.seccomp import filter_file
from elpack.config.builds import Limits
from elpack.errors import Problem, SmokeError
from elpack.run import Command, tail
from elpack.smoke import WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.run import Runner
    from elpack.smoke import Session

_SPARE_SECONDS = 60
_LOGS_BYTES = 1 << 30
_FILE_BYTES = 4 << 30
_CAPABILITIES = ("SETUID", "SETGID", "KILL", "CHOWN", "FOWNER", "DAC_OVERRIDE")
_DRIVER = "smoke_driver.py"


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step went: `status` is ok, failed or skipped, `detail` says why, `tail` what it said last."""

    name: str
    status: str
    seconds: float
    detail: str
    log: str
    tail: str


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """How all steps went, and the command that takes them again."""

    steps: tuple[StepResult, ...]
    seconds: float
    command: str


def smoke_root(
    root: Path,
    session: Session,
    *,
    interpreter: str,
    files: Path | None,
    logs: Path,
    runner: Runner,
    progress: Callable[[str], None] = lambda _: None,
    limits: Limits | None = None,
    record: Path | None = None,
) -> SmokeReport:
    """Take a session's steps in the root, as unprivileged users; the root itself stays as it is.

    `interpreter` is a Python inside the root, `files` the folder that steps see as ``{files}``. `logs` is emptied, then
    holds session, report and a log per step. `progress` hears one line before and one after. `limits` are those of
    a build, but for the time, which the session itself says; `record`: see `Fence`. Needs root.

    Raises `SmokeError` with every step that failed, or when the session itself did not come to its end.
    """
    progress(f"smoke test: {len(session.steps)} steps")
    _prepare(logs, session, files)
    limits = replace(limits or Limits(), disk=_FILE_BYTES, time=session.seconds + _SPARE_SECONDS)
    mechanism = Mechanism.here()
    size, seccomp = memory_of(limits, mechanism) // 2, filter_file(logs)
    command = Command(argv=sandbox(root, interpreter, logs, seccomp, size), log=logs / "session.log")
    fence = Fence(limits, fence_name(logs), record or logs / "session.groups", mechanism, Measure((logs,), _LOGS_BYTES))
    with fence.around(command) as enclosed:
        done = runner(enclosed)
    if done.ended == "time":
        raise SmokeError(_aborted(command, logs, "it did not come to its end in time"))
    if done.ended:
        raise SmokeError(met(done.ended, limits, str(logs), "the smoke test was cut short"))
    results = tuple(_results(logs))
    if len(results) < len(session.steps):
        raise SmokeError(_aborted(command, logs, f"it ended with {done.returncode} after {len(results)} steps"))
    failed = [result for result in results if result.status == "failed"]
    if failed:
        raise SmokeError(*(_problem(result, logs, command) for result in failed))
    progress(f"smoke test: {len(results)} steps passed in {done.seconds:.0f} s")
    return SmokeReport(results, done.seconds, str(command))


def sandbox(root: Path, interpreter: str, logs: Path, seccomp: Path | None = None, size: int = 0) -> tuple[str, ...]:
    """Return the command that runs the driver in the root; `size`: of each folder in memory, half of it if it is 0.

    All namespaces are new, so there is only loopback, and nothing outlives the session. The user namespace alone is
    not: the driver changes to real, unprivileged user ids, for which it keeps the few capabilities that this takes.
    """
    argv = [*filtered(seccomp), "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc"]
    argv += ["--ro-bind", "/proc/sys", "/proc/sys"]
    limit = ["--size", str(size)] if size else []
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - of the sandbox
        argv += ["--perms", "1777", *limit, "--tmpfs", folder]
    for folder in ("/run", "/home", "/root", "/var/lib", "/var/log"):
        argv += ["--perms", "0755", *limit, "--tmpfs", folder]
    argv += ["--bind", str(logs), WORK]
    argv += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    argv += ["--die-with-parent", "--new-session", "--clearenv", "--chdir", "/"]
    for capability in _CAPABILITIES:
        argv += ["--cap-add", f"CAP_{capability}"]
    return (*argv, interpreter, "-I", f"{WORK}/{_DRIVER}", WORK)


def _prepare(logs: Path, session: Session, files: Path | None) -> None:
    """Make a folder that the sandbox can use as it is, whatever modes a checkout has."""
    if logs.exists():
        shutil.rmtree(logs)
    logs.mkdir(parents=True)
    logs.chmod(0o755)
    (logs / _DRIVER).write_text((resources.files("elpack.assets") / _DRIVER).read_text())
    (logs / "session.json").write_text(json.dumps(session.as_json(), indent=1))
    if files is None:
        return
    shutil.copytree(files, logs / "files")
    for path in (logs / "files", *(logs / "files").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _results(logs: Path) -> Iterator[StepResult]:
    report = logs / "report.json"
    entries: list[dict[str, Any]] = json.loads(report.read_text()) if report.exists() else []
    for entry in entries:
        yield StepResult(**entry)


def _problem(result: StepResult, logs: Path, command: Command) -> Problem:
    what = f"step {result.name!r} {result.detail}"
    said = f"\n{result.tail}" if result.tail else ""
    return Problem(what + said, where=str(logs / result.log), fix=f"to see it again, as root: {command}")


def _aborted(command: Command, logs: Path, what: str) -> Problem:
    log = logs / "session.log"
    said = f"\n{tail(log)}" if log.exists() else ""
    return Problem(f"the smoke test was cut short: {what}{said}", where=str(logs), fix=f"to see it again: {command}")

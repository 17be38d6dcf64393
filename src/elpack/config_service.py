"""The [service] and [smoke] tables of the release file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.service import Service
from elpack.smoke import Smoke, SmokeStep

if TYPE_CHECKING:
    from elpack.tables import Table


def read_service(table: Table) -> Service | None:
    """Return the service, or None when the release has none; mistakes are noted at their keys."""
    if not table.values:
        return None
    values = {
        "name": table.get("name", str),
        "description": table.get("description", str),
        "user": table.get("user", str),
        "group": table.get("group", str, ""),
        "exec_start": table.strings("exec"),
        "documentation": table.strings("documentation"),
        "type": table.get("type", str, "notify"),
        "kill_signal": table.get("kill-signal", str, "SIGTERM"),
        "state_directory": table.get("state-directory", str, ""),
        "environment": _strings(table.table("environment")),
        "start_timeout": table.get("start-timeout", int, 90),
        "stop_timeout": table.get("stop-timeout", int, 30),
        "restart_delay": table.get("restart-delay", int, 2),
        "open_files": table.get("open-files", int, 0),
        "without": _strings(table.table("without")),
    }
    table.done()
    if table.problems:
        return None
    try:
        return Service(**values)  # type: ignore[arg-type]
    except ValueError as error:
        table.problem("", str(error))
        return None


def read_smoke(table: Table) -> Smoke:
    """Return the smoke test, without steps when the release has none; mistakes are noted at their keys."""
    steps = [step for entry in table.tables("step") if (step := _step(entry))]
    files = table.get("files", str, "")
    environment = _strings(table.table("environment"))
    service = table.strings("service")
    table.done()
    if table.problems:
        return Smoke(())
    try:
        return Smoke(tuple(steps), files, environment, service)
    except ValueError as error:
        table.problem("", str(error))
        return Smoke(())


def _step(table: Table) -> SmokeStep | None:
    values = {
        "name": table.get("name", str),
        "run": table.strings("run"),
        "expect": table.strings("expect"),
        "exit": table.get("exit", int, 0),
        "timeout": table.get("timeout", int, 60),
        "background": table.get("background", bool, False),
        "ready": table.get("ready", str, ""),
        "ends": table.get("ends", str, ""),
        "signal": table.get("signal", str, ""),
        "user": table.get("user", str, ""),
        "directory": table.get("directory", str, SmokeStep(name="x", run=("x",)).directory),
        "state": table.get("state", str, ""),
        "environment": _strings(table.table("environment")),
    }
    table.done()
    try:
        return SmokeStep(**values)  # type: ignore[arg-type]
    except ValueError as error:
        table.problem("", str(error))
        return None


def _strings(table: Table) -> dict[str, str]:
    return {key: table.get(key, str) for key in table.values}

"""The [service] and [smoke] tables of the release file."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from elpack.service import Service
from elpack.smoke import Smoke, SmokeStep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from elpack.tables import Table

T = TypeVar("T")

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_LONGEST_STEP = 24 * 60 * 60
_LAST_PORT = 65535
_SPELLINGS = {"exec_start": "exec"}
_SOUND = Service(name="x", description="x", user="x", exec_start=("/x",))
"""Without a mistake; each value of the release is tried in it alone, so that every mistake is found."""


def read_service(table: Table) -> Service | None:
    """Return the service, or None when the release has none; mistakes are noted at their keys."""
    if not table.values:
        return None
    before = len(table.problems)
    values: dict[str, Any] = {
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
    noted = {problem.where for problem in table.problems[before:]}
    for field, value in values.items():
        key = _SPELLINGS.get(field, field.replace("_", "-"))
        # a value that was refused already was replaced, and the replacement is not the user's mistake
        if not any(where.startswith(table.where(key)) for where in noted):
            _try(table, key, partial(replace, _SOUND, **{field: value}))
    return Service(**values) if len(table.problems) == before else None


def read_smoke(table: Table) -> Smoke:
    """Return the smoke test, without steps when the release has none; mistakes are noted at their keys."""
    before = len(table.problems)
    steps = [step for entry in table.tables("step") if (step := _step(entry))]
    files = table.parsed("files", _folder, "") or ""
    environment = _variables(table.table("environment"))
    service = table.strings("service")
    table.done()
    # steps refer to one another; what a missing one makes wrong is not worth telling
    if len(table.problems) > before:
        return Smoke(())
    return _try(table, "", lambda: Smoke(tuple(steps), files, environment, service)) or Smoke(())


def _step(table: Table) -> SmokeStep | None:
    before = len(table.problems)
    values: dict[str, Any] = {
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
        "environment": _variables(table.table("environment")),
    }
    table.done()
    if len(table.problems) == before:
        _check_step(table, values)
    if len(table.problems) > before:
        return None
    return _try(table, "", lambda: SmokeStep(**values))


def _check_step(table: Table, values: Mapping[str, Any]) -> None:
    """Note what could not be started in the root: better told now than after the builds."""
    if any("\0" in word for word in values["run"]):
        table.problem("run", "an argument of a program holds no NUL")
    if values["timeout"] > _LONGEST_STEP:
        table.problem("timeout", f"expected at most {_LONGEST_STEP} seconds, found {values['timeout']}")
    if values["user"] and not _USER.match(values["user"]):
        table.problem("user", f"{values['user']!r} is not a user's name")
    kind, _, port = values["ready"].partition(":")
    if kind == "tcp" and port.isdecimal() and int(port[:6]) > _LAST_PORT:
        table.problem("ready", f"expected a port up to {_LAST_PORT}, found {port[:6]}")


def _folder(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not text.isprintable():
        raise ValueError(f"{text!r} is not a plain relative path below the release file")
    return text


def _variables(table: Table) -> dict[str, str]:
    found = _strings(table)
    for key, value in found.items():
        if not key or "=" in key or "\0" in key + value:
            table.problem(key, "an environment cannot hold this: a name without =, and no NUL")
    return found


def _try(table: Table, key: str, make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ValueError as error:
        table.problem(key, str(error))
        return None


def _strings(table: Table) -> dict[str, str]:
    return {key: table.get(key, str) for key in table.values}

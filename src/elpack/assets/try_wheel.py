"""Runs in a fresh virtual environment: imports what was installed, starts its commands, runs its tests.

Called as: python -I try_wheel.py QUESTION ANSWER; both are JSON. Needs nothing but the standard library; pytest where
it is asked to run tests.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

LINES = 6
KEPT = 20


def main() -> None:
    """Answer the question."""
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = {}
    if "imports" in question:
        answer["imports"] = {name: failure(name) for name in question["imports"]}
        answer["scripts"] = {name: started(name, question["seconds"]) for name in question["scripts"]}
    if "suite" in question:
        answer["suite"] = suite(question["suite"])
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def failure(name: str) -> str:
    """Return why a module cannot be imported, "" when it can."""
    try:
        importlib.import_module(name)
    except BaseException:  # noqa: BLE001 - whatever an import may do, SystemExit as well
        return "\n".join(traceback.format_exc().rstrip().splitlines()[-LINES:])
    return ""


def started(name: str, seconds: float) -> str:
    """Return how a command answers: the option that it knows, "neither", or what it said when it broke.

    seconds: how long it may take.
    """
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        return "it was not installed"
    for option in ("--version", "--help"):
        try:
            done = subprocess.run(
                [str(program), option], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"broken: {error}"
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode == 0:
            return option
        if done.returncode < 0 or "Traceback (most recent call last)" in said:
            return "broken: " + "\n".join(said.rstrip().splitlines()[-LINES:])
    return "neither"


def suite(asked: dict[str, Any]) -> dict[str, Any]:
    """Return how many tests passed, failed and so on, and the names of the first that did not pass."""
    import pytest

    class Counter:
        """Counts each test once, by the worst that happened to it."""

        def __init__(self) -> None:
            self.ended: dict[str, str] = {}

        def pytest_runtest_logreport(self, report: Any) -> None:
            """Note one phase of a test."""
            if report.when == "call" or report.outcome != "passed":
                kind = "error" if report.failed and report.when != "call" else report.outcome
                if hasattr(report, "wasxfail"):
                    kind = "xfailed" if report.skipped else "xpassed"
                self.ended[report.nodeid] = kind

        def pytest_collectreport(self, report: Any) -> None:
            """Note a file that could not be collected."""
            if report.failed:
                self.ended[report.nodeid] = "error"

    counter = Counter()
    os.chdir(asked["folder"])
    sys.path.insert(0, asked["folder"])
    options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=line"]
    code = pytest.main(
        [*options, "-c", asked["configuration"], "--rootdir", asked["folder"], *asked["places"]], plugins=[counter]
    )
    kinds = sorted(set(counter.ended.values()))
    bad = [name for name, kind in counter.ended.items() if kind in {"failed", "error"}]
    return {
        "code": int(code),
        "counts": {kind: list(counter.ended.values()).count(kind) for kind in kinds},
        "bad": sorted(bad)[:KEPT],
    }


if __name__ == "__main__":
    main()

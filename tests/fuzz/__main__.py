"""``python -m tests.fuzz SECONDS [TARGET ...]``: fuzz each target for its share of the time.

First by Hypothesis, then by coverage where atheris is installed. Ends with 1 when something was found.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from tests.fuzz.strategies import inputs
from tests.fuzz.targets import TARGETS, Fuzzed

_ROUND = 100


def main(arguments: list[str]) -> int:
    """Fuzz, print a line for each target, and return how many had findings."""
    seconds, names = float(arguments[0]), arguments[1:] or list(TARGETS)
    atheris = importlib.util.find_spec("atheris") is not None
    if not atheris:
        print("atheris is not installed: Hypothesis alone (uv pip install atheris, for CPython 3.11)")
    share = seconds / len(names) / (2 if atheris else 1)
    found = 0
    for name in names:
        runs, finding = by_chance(TARGETS[name], share)
        line = f"{name:14} hypothesis {runs:8} runs"
        if atheris and not finding:
            more, finding = by_coverage(name, share)
            line += f"  atheris {more:9} runs"
        print(f"{line}  {'FOUND' if finding else 'nothing found'}", flush=True)
        if finding:
            print(finding, flush=True)
            found += 1
    return min(found, 1)


def by_chance(target: Fuzzed, seconds: float) -> tuple[int, str]:
    """Return how many inputs Hypothesis tried, and the smallest that was a finding, with its traceback."""
    end, runs, number, tried = time.monotonic() + seconds, 0, 0, b""

    def attempt(data: bytes) -> None:
        nonlocal runs, tried
        runs += 1
        tried = data
        target(data)

    while time.monotonic() < end:
        number += 1
        phases = (Phase.generate, Phase.shrink)
        checks = list(HealthCheck)
        options = settings(
            max_examples=_ROUND, phases=phases, database=None, deadline=None, suppress_health_check=checks
        )
        try:
            seeded(number)(options(given(inputs(target))(attempt)))()
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            return runs, f"{tried!r}\n{traceback.format_exc(limit=-6)}"
    return runs, ""


def by_coverage(name: str, seconds: float) -> tuple[int, str]:
    """Return the same of atheris, which has to be in a process of its own before anything is imported."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(TARGETS[name].seeds):
            Path(folder, str(number)).write_bytes(seed)
        options = (
            f"-max_total_time={max(1, int(seconds))}",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        )
        command = [sys.executable, "-m", "tests.fuzz.coverage", name, *options, f"-artifact_prefix={folder}/", folder]
        done = subprocess.run(command, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    runs = [line.rpartition(":")[2] for line in said.splitlines() if "number_of_executed_units" in line]
    return int(runs[0]) if runs else 0, said[-4000:] if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A lock of ten thousand packages: read and walked within a time and a memory that a release manager has."""

from __future__ import annotations

import time

from tests.hostile.locks.uv_locks import ten_thousand

from elpack.lockfile import parse_uv_lock
from elpack.naming import dist_name
from elpack.selection import select
from elpack.targets import TargetChoice, resolve_target


def test_ten_thousand_packages_take_seconds_and_some_hundred_megabytes() -> None:
    text = ten_thousand().replace("WHEEL_NAME", "lib-1.0-py3-none-any.whl").replace("WHEEL_SHA256", "0" * 64)
    text = text.replace("WHEEL_SIZE", "1")
    start = time.process_time()
    lock = parse_uv_lock(text, "uv.lock")
    closure = select(lock, dist_name("app"), resolve_target(TargetChoice("el9", "3.12", ("x86_64",)), "x86_64"))
    seconds = time.process_time() - start
    assert len(closure.dists) == len(lock.dists) == 10_002
    assert seconds < 60, f"{len(text) >> 20} MB took {seconds:.0f} s"

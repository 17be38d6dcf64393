"""The processes that a killed run left: known by a file that each of them holds open."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_GOING = 20.0
"""Seconds that they get to be gone after they were killed."""


def end_holders(mark: Path) -> int:
    """Kill every process but this one that has the file open, wait until they are gone, and return their number."""
    killed: set[int] = set()
    end = time.monotonic() + _GOING
    while (holders := _holders(mark)) and time.monotonic() < end:
        for pid in holders:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= holders
        time.sleep(0.05)
    return len(killed)


def _holders(mark: Path) -> set[int]:
    """Return which other processes have the file open, as far as we may see that, or serve a keyring beside it.

    gpg, which dnf starts as well, leaves an agent that closes every file it was given.
    """
    ours, found = mark.stat(), set()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # it is gone, or another user's
            if _is_agent_below(process, mark.resolve().parent):
                found.add(int(process.name))
            for descriptor in (process / "fd").iterdir():
                # its name first: to look at what it leads to may take long on a network's file system
                if mark.name in descriptor.readlink().name and os.path.samestat(ours, descriptor.stat()):
                    found.add(int(process.name))
    return found


def _is_agent_below(process: Path, folder: Path) -> bool:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    if Path(words[0]).name != "gpg-agent" or "--homedir" not in words[:-1]:
        return False
    # dnf names it by a way out of the root that it fills, which may be gone
    home = os.path.normpath(words[words.index("--homedir") + 1])
    return Path(home).is_relative_to(folder)

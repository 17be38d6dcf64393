"""Control groups: memory and processes of one build, counted by the kernel. Version 1 or 2, whatever the host has."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTROLLERS = ("memory", "pids")
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Group:
    """A group that was made: one folder for both controllers (version 2), or one for each."""

    folders: tuple[Path, ...]

    @property
    def entrances(self) -> tuple[Path, ...]:
        """Return the files that take the process which is to be in the group."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def reached(self) -> str:
        """Return which limit the group has met so far: memory, processes, or none."""
        if self._count("oom_kill", "memory.events", "memory.oom_control"):
            return "memory"
        return "processes" if self._count("max", "pids.events") else ""

    def _count(self, word: str, *files: str) -> int:
        for path in (folder / file for folder in self.folders for file in files):
            with suppress(OSError):
                if found := re.search(rf"^{word} (\d+)$", path.read_text(), re.MULTILINE):
                    return int(found[1])
        return 0


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where groups can be made on this host, by controller; `unified` is version 2."""

    memory: Path | None = None
    pids: Path | None = None
    unified: bool = False

    def make(self, name: str, memory: int, processes: int) -> Group:
        """Make a group with these limits below our own. Raises OSError."""
        folders = [parent / name for parent in dict.fromkeys((self.memory, self.pids)) if parent]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        group = Group(tuple(folders))
        try:
            if self.memory:
                self._limit_memory(self.memory / name, memory)
            if self.pids:
                (self.pids / name / "pids.max").write_text(str(processes))
        except OSError:
            remove(group)
            raise
        return group

    def _limit_memory(self, folder: Path, memory: int) -> None:
        if self.unified:
            (folder / "memory.max").write_text(str(memory))
            with suppress(OSError):  # a kernel without swap has no such file
                (folder / "memory.swap.max").write_text("0")
            (folder / "memory.oom.group").write_text("1")
            return
        (folder / "memory.limit_in_bytes").write_text(str(memory))
        with suppress(OSError):
            (folder / "memory.memsw.limit_in_bytes").write_text(str(memory))


def find_cgroups(proc: Path = Path("/proc/self")) -> Cgroups:
    """Look where this process may make groups; what is None cannot be limited that way."""
    memberships = dict(_memberships(proc))
    mounts = list(_mounts(proc))
    found = {}
    for controller in _CONTROLLERS:
        for kind, options, root, point in mounts:
            if kind == "cgroup" and controller in options and controller in memberships:
                found[controller] = _below(point, root, memberships[controller])
    if len(found) == len(_CONTROLLERS):
        memory, pids = (_writable(found[controller]) for controller in _CONTROLLERS)
        return Cgroups(memory, pids)
    for kind, _, root, point in mounts:
        if kind == "cgroup2" and "" in memberships and (own := _offers(_below(point, root, memberships[""]))):
            return Cgroups(own, own, unified=True)
    return Cgroups()


def remove(group: Group) -> None:
    """Kill who is still in the group, and remove it; one that is gone already is fine."""
    end = time.monotonic() + _PATIENCE
    for folder in group.folders:
        while folder.exists() and time.monotonic() < end:
            for number in _processes(folder):
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            with suppress(OSError):  # a killed process may need a moment to go
                folder.rmdir()
                break
            time.sleep(0.02)


def _processes(folder: Path) -> list[int]:
    with suppress(OSError):
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    return []


def _offers(own: Path) -> Path | None:
    """Return a folder of version 2 if groups in it have both controllers, switching them on if we may."""
    switch = own / "cgroup.subtree_control"
    with suppress(OSError):
        if not set(_CONTROLLERS) <= set(switch.read_text().split()):
            switch.write_text("+memory +pids")  # refused while processes are in the group itself
        if set(_CONTROLLERS) <= set(switch.read_text().split()):
            return _writable(own)
    return None


def _writable(folder: Path) -> Path | None:
    return folder if os.access(folder, os.W_OK) else None


def _below(point: str, root: str, membership: str) -> Path:
    """Return the folder of our own group: a container may see only a part of the hierarchy."""
    inside = membership.removeprefix(root) if root != "/" and membership.startswith(root) else membership
    return Path(point) / inside.lstrip("/")


def _memberships(proc: Path) -> Iterator[tuple[str, str]]:
    """Yield controller and group of a process; version 2 is the controller without a name."""
    for line in (proc / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(proc: Path) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """Yield kind, options, root and mount point of what is mounted."""
    for line in (proc / "mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        fields = left.split()
        yield kind, tuple(options.split(",")), fields[3], fields[4]

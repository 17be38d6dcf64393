"""Holds what runs in a sandbox to its limits, by what this host offers, and says which one it met."""

from __future__ import annotations

import hashlib
import os
import resource
import shlex
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders import cgroups
from elpack.builders.cgroups import Cgroups, Group, find_cgroups
from elpack.config.builds import spelled
from elpack.errors import Problem
from elpack.run import CLEAN_ENV
from elpack.supervise import Enclosure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.builders.disk import Measure
    from elpack.config.builds import Limits
    from elpack.run import Command

OPEN_FILES = 16384
_LEAST_MEMORY = 4 << 30
_SYSTEMD, _UNIFIED = Path("/run/systemd/system"), Path("/sys/fs/cgroup")
# Builds go before elpack does when memory ends on the whole machine.
_FIRST_TO_GO = 500

_MET = {
    "memory": "it wanted more memory than {memory}",
    "processes": "it wanted more than {processes} processes and threads at a time",
    "time": "it did not end within {time} s",
    "disk": "it wrote more than {disk} to its disk",
    "log": "it printed more than {log}",
}


@dataclass(frozen=True, slots=True)
class Mechanism:
    """What holds memory and processes on this host: groups of ours, or scopes that systemd makes, or only rlimits."""

    groups: Cgroups = field(default_factory=Cgroups)
    scopes: Path | None = None
    """Where systemd's scopes have their folders."""

    @classmethod
    def here(cls) -> Mechanism:
        """Look at this host."""
        groups = find_cgroups()
        if groups.memory and groups.pids:
            return cls(groups)
        systemd = os.geteuid() == 0 and _SYSTEMD.is_dir() and (_UNIFIED / "cgroup.controllers").exists()
        if systemd and shutil.which("systemd-run", path=CLEAN_ENV["PATH"]):
            return cls(scopes=_UNIFIED / "system.slice")
        return cls(groups)

    @property
    def counts(self) -> bool:
        """Tell whether a build is counted as a whole, so that we know which limit it met."""
        return bool(self.scopes or (self.groups.memory and self.groups.pids))

    def __str__(self) -> str:
        if self.scopes:
            return "systemd scopes (cgroups version 2)"
        held = [name for name, folder in (("memory", self.groups.memory), ("processes", self.groups.pids)) if folder]
        by = f"cgroups version {2 if self.groups.unified else 1}"
        if len(held) > 1:
            return by
        rest = f"{held[0]} by {by}, else " if held else ""
        return f"{rest}rlimits: each process is limited, a build as a whole is not"

    def hold(self, name: str, memory: int, processes: int) -> tuple[Group, tuple[str, ...]]:
        """Return a group that holds a command, and the words that the command begins with to be in it."""
        if self.scopes:
            return Group((self.scopes / f"{name}.scope",)), (
                *("systemd-run", "--scope", "--quiet", "--collect", "--unit", name),
                *("-p", f"MemoryMax={memory}", "-p", "MemorySwapMax=0", "-p", f"TasksMax={processes}", "--"),
            )
        group = self.groups.make(name, memory, processes)
        words: tuple[str, ...] = () if self.groups.pids else (f"--nproc={processes}",)
        words += () if self.groups.memory else (f"--data={memory}",)
        return group, (*_entering(group.entrances), *(("prlimit", *words) if words else ()))


@dataclass(slots=True)
class Fence:
    """Limits around the commands of one build, whose time begins now.

    name tells its groups from others'. record is a file that names them, for the run after one that was killed.
    measure counts what was written, where the disk itself does not.
    """

    limits: Limits
    name: str
    record: Path
    mechanism: Mechanism
    measure: Measure | None = None
    _until: float = field(init=False)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.limits.time

    @contextmanager
    def around(self, command: Command) -> Iterator[Command]:
        """Give the command as it runs within the limits; whoever is left of it is killed afterwards."""
        memory = memory_of(self.limits, self.mechanism)
        group, words = self.mechanism.hold(f"{self.name}-{next(self._numbers)}", memory, self.limits.processes)
        enclosed = Enclosure(self.limits.log, lambda: self._met(group))
        try:
            self.record.write_text("".join(f"{folder}\n" for folder in group.folders))
            yield replace(command, argv=(*words, *rlimits(self.limits.disk), *command.argv), enclosed=enclosed)
        finally:
            cgroups.remove(group)
            self.record.unlink(missing_ok=True)

    def _met(self, group: Group) -> str:
        if time.monotonic() > self._until:
            return "time"
        if self.measure and self.measure.exceeded():
            return "disk"
        return group.reached()


def fence_name(folder: Path) -> str:
    """Return a name for the groups of what runs in a folder."""
    return f"elpack-{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]}"


def remove_recorded(record: Path) -> None:
    """Remove the groups that a killed run left."""
    with suppress(FileNotFoundError):
        cgroups.remove(Group(tuple(map(Path, record.read_text().splitlines()))))
        record.unlink()


def rlimits(file_bytes: int) -> tuple[str, ...]:
    """Return the words that begin a command whose processes each get these limits; no core is dumped."""
    files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return ("prlimit", "--core=0", f"--nofile={files}", f"--fsize={file_bytes}")


def memory_of(limits: Limits, mechanism: Mechanism) -> int:
    """Return the bytes of memory for a build: what is set, else half of the machine's, but 4 GB if it has them."""
    if limits.memory:
        return limits.memory
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.limit_in_bytes", "memory.max"):
        with suppress(OSError, ValueError, TypeError):
            whole = min(whole, int((mechanism.groups.memory / name).read_text()))  # type: ignore[operator]
    return min(max(whole // 2, _LEAST_MEMORY), whole * 9 // 10)


def met(limit: str, limits: Limits, where: str, said: str = "", dist: str = "") -> Problem:
    """Return what is told of a build that met a limit; `said` is what it printed last."""
    sizes = {
        "memory": spelled(limits.memory) if limits.memory else "this machine can spare for one build",
        "disk": spelled(limits.disk),
        "log": spelled(limits.log),
        "processes": limits.processes,
        "time": limits.time,
    }
    own = f" (or under [builds.dist.{dist}] for this one)" if dist else ""
    return Problem(
        what=f"ended by its limit: {_MET[limit].format(**sizes)}" + (f"\n{said}" if said else ""),
        where=where,
        fix=f"if it is right that it takes so much, raise [builds] {limit} in elpack.toml{own}",
    )


def _entering(entrances: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the words that put the process itself into groups, before it becomes the command: nothing is missed."""
    script = "".join(f"echo 0 >{shlex.quote(str(path))} && " for path in entrances)
    return ("sh", "-c", f'echo {_FIRST_TO_GO} >/proc/self/oom_score_adj; {script}exec "$@"', "elpack")

"""rsync: what lies at the other end, copies to it and from it, and what differs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from elpack.errors import DiskFullError, Problem, PublishError
from elpack.run import CLEAN_ENV, Command, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elpack.run import Completed, Runner

_FROM_USER = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "RSYNC_RSH", "RSYNC_PASSWORD", "RSYNC_PROXY")
"""What rsync and ssh need of the user's environment to reach the other end."""
_ENTRY = re.compile(r"([-dlcbps])\S{9}\S*\s+[\d,.]+\S*\s+\S+\s+\S+ (.*)\Z")
_NOT_THERE = re.compile(r"No such file or directory \(2\)")
_PARTIAL = 23
_STALL = 120
"""Seconds without a byte after which rsync gives up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name at the other end. kind: `d`, `-` or `l`. goal: of a symbolic link."""

    name: str
    kind: str
    goal: str = ""


@dataclass(frozen=True, slots=True)
class Rsync:
    """A folder that rsync reaches, without a slash at its end: host:path, host::module/path, rsync://host/module/path."""

    to: str
    runner: Runner = run

    def entries(self, folder: str = "") -> list[Entry] | None:
        """Return what lies in a folder, None if it is not there. Raises `PublishError`."""
        done = self._run(("--list-only", "--links", "--dirs", "--no-human-readable", self._url(f"{folder}/")))
        if done.returncode == _PARTIAL and _NOT_THERE.search(done.stderr):
            return None
        _check(done, self._url(folder))
        found = []
        for line in done.stdout.splitlines():
            match = _ENTRY.match(line)
            if match and match[2] != ".":
                name, _, goal = match[2].partition(" -> ") if match[1] == "l" else (match[2], "", "")
                found.append(Entry(name, match[1], goal))
        return found

    def get(self, folder: str, into: Path, *options: str, paths: Sequence[str] | None = None) -> None:
        """Copy files of a folder, the named ones or what the options say, to this machine; links are left out."""
        into.mkdir(parents=True, exist_ok=True)
        # not --files-from: the daemon of rsync 3.5 then looks for the files in the wrong place
        chosen = ("--from0", "--include-from=-", "--exclude=*") if paths is not None else ()
        names = "\0".join(_with_parents(paths)) if paths is not None else None
        argv = ("--recursive", "--times", *chosen, *options, self._url(f"{folder}/"), f"{into}/")
        _check(self._run(argv, names), self._url(folder))

    def put(self, source: Path, folder: str, *options: str) -> None:
        """Copy what is in a folder of this machine into one at the other end; links stay links."""
        # by checksum: metadata of one size and one second need not be the same
        argv = ("--recursive", "--times", "--links", "--perms", "--chmod=D755,F644", "--delay-updates", "--checksum")
        _check(self._run((*argv, *options, f"{source}/", self._url(f"{folder}/"))), self._url(folder))

    def differences(self, source: Path, folder: str, *options: str) -> list[str]:
        """Return what differs by content from a folder of this machine: rsync's own lines, empty for nothing."""
        argv = ("--recursive", "--links", "--checksum", "--dry-run", "--out-format=%i %n%L", *options)
        done = _check(self._run((*argv, f"{source}/", self._url(f"{folder}/"))), self._url(folder))
        # a dot at the start: the content is the same
        return [line for line in done.stdout.splitlines() if not line.startswith(".")]

    def remove(self, folder: str, names: Sequence[str], empty: Path) -> None:
        """Remove names in a folder with all that is below them. `empty` is an empty folder of this machine."""
        chosen = [option for name in names for option in (f"--include=/{name}", f"--include=/{name}/**")]
        argv = ("--recursive", "--delete", *chosen, "--exclude=*", f"{empty}/", self._url(f"{folder}/"))
        _check(self._run(argv), self._url(folder))

    def _url(self, path: str) -> str:
        return f"{self.to}/{path}" if path not in {"", "/"} else f"{self.to}/"

    def _run(self, arguments: Sequence[str], text: str | None = None) -> Completed:
        env = {**CLEAN_ENV, **{name: os.environ[name] for name in _FROM_USER if name in os.environ}}
        argv = ("rsync", "--protect-args", f"--timeout={_STALL}", *arguments)
        return self.runner(Command(argv, env=env, input=text))


def _with_parents(paths: Sequence[str]) -> list[str]:
    """Return the paths as rsync's patterns, together with all folders on the way to them."""
    folders = {f"/{parent}/" for path in paths for parent in PurePosixPath(path).parents if parent.name}
    return [*sorted(folders), *(f"/{path}" for path in paths)]


def _check(done: Completed, where: str) -> Completed:
    if done.returncode == 0:
        return done
    if "No space left on device" in done.stderr:
        raise DiskFullError(Problem("the other end has no space left", where=where))
    what = f"rsync ended with {done.returncode}\n{done.tail(8)}"
    raise PublishError(Problem(what, where=where, fix=f"to see it again: {done.command}"))

"""Decides which builder runs, and says why."""

from __future__ import annotations

import difflib
import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.mock import MockBuilder
from elpack.errors import ConfigError, PrivilegeError, Problem, ToolMissingError
from elpack.run import CLEAN_ENV, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.builders import Builder, Repository
    from elpack.model import Target
    from elpack.run import Runner

NAMES = ("auto", "mock", "bwrap")

_JOIN = "usermod --append --groups mock $USER, then log in again"


@dataclass(frozen=True, slots=True)
class Choice:
    """A builder, and the reason why it is this one, as a half sentence."""

    builder: Builder
    reason: str


@dataclass(frozen=True, slots=True)
class MockHost:
    """What this host says about mock: where it is, as whom it may build, and what keeps it from working."""

    program: str = ""
    user: int | None = None
    obstacle: str = ""
    fix: str = ""


def choose_builder(
    name: str,
    target: Target,
    repositories: tuple[Repository, ...],
    work: Path,
    *,
    extra: tuple[Repository, ...] = (),
    runner: Runner = run,
    environ: Mapping[str, str] = os.environ,
    distribution: str = "",
    preload: Path | None = None,
) -> Choice:
    """Return the builder of that name; `auto` takes mock where it works, else bwrap.

    distribution is mock's, see `MockBuilder`, preload bwrap's. Raises ConfigError for an unknown name or a preload
    that goes to mock, ToolMissingError when mock is asked for and not installed, PrivilegeError when it is and this
    user may not use it.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        fix = f"did you mean {near[0]}?" if near else f"one of {', '.join(NAMES)}"
        raise ConfigError(Problem(f"there is no builder named {name!r}", where="builder", fix=fix))
    bwrap = BwrapBuilder(target, repositories, work / "bwrap", runner, extra, preload)
    if name == "bwrap":
        return Choice(bwrap, "it was asked for")
    host = mock_host(environ)
    if name == "auto" and host.obstacle:
        return Choice(bwrap, host.obstacle)
    if host.obstacle:
        error = PrivilegeError if host.program else ToolMissingError
        raise error(Problem(host.obstacle, where="builder mock", fix=host.fix))
    if preload:
        raise ConfigError(Problem("mock cannot preload a library", where="--preload", fix="--builder bwrap"))
    mock = MockBuilder(target, repositories, work / "mock", runner, extra, distribution, host.user, host.program)
    return Choice(mock, "it was asked for" if name == "mock" else "mock is installed")


def mock_host(environ: Mapping[str, str]) -> MockHost:
    """Look whether mock is on the PATH and whether this user may use it."""
    program = shutil.which("mock", path=environ.get("PATH", CLEAN_ENV["PATH"]))
    if program is None:
        fix = f"dnf install mock && {_JOIN}; or --builder bwrap"
        return MockHost(obstacle="mock is not installed", fix=fix)
    try:
        group = grp.getgrnam("mock")
    except KeyError:
        return MockHost(program, obstacle="there is no group named mock", fix=f"groupadd --system mock && {_JOIN}")
    if os.geteuid() != 0:
        allowed = group.gr_gid in {os.getegid(), *os.getgroups()}
        return MockHost(program) if allowed else MockHost(program, None, "you are not in the group mock", _JOIN)
    user = _unprivileged(group, environ)
    if user is None:
        obstacle = "mock does not build as root, and nobody is in the group mock"
        return MockHost(program, obstacle=obstacle, fix="useradd --system --groups mock --create-home mockuser")
    return MockHost(program, user)


def _unprivileged(group: grp.struct_group, environ: Mapping[str, str]) -> int | None:
    """Return the uid as which mock builds for root: who called sudo, else the first member of the group."""
    if environ.get("SUDO_UID", "").isdigit() and int(environ["SUDO_UID"]) != 0:
        return int(environ["SUDO_UID"])
    for name in group.gr_mem:
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:  # a member without an account
            continue
    return None

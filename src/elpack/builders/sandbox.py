"""The command that runs a program inside a root: no network, no privileges, nothing of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.builders.environment import ENVIRONMENT, HOME, HOSTNAME, UID
from elpack.run import Command

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders.roots import CleanRoot


_PRELOAD = "/.elpack-preload.so"


def sandboxed(
    root: CleanRoot,
    arguments: tuple[str, ...],
    log: Path | None = None,
    *,
    tty: bool = False,
    preload: Path | None = None,
) -> Command:
    """Return the command that runs `arguments` in the root as the build user.

    All namespaces but the user's are unshared: in a user namespace of one user nobody could become the build
    user. `setpriv`, from the root's util-linux, does that and gives up every capability for good.
    With `tty` the program keeps the terminal, for a person who looks around. `preload` is a library of the host
    that every program in there loads first, such as the clock of a second build.
    """
    environment = [word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)]
    if preload:
        environment += ["--ro-bind", str(preload), _PRELOAD, "--setenv", "LD_PRELOAD", _PRELOAD]
    return Command(
        (
            *("bwrap", "--bind", str(root.path), "/", "--bind", str(root.builddir), HOME),
            *("--dev", "/dev", "--proc", "/proc"),
            *("--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/dev/shm"),  # noqa: S108
            *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
            *("--hostname", HOSTNAME, "--die-with-parent"),
            *(() if tty else ("--new-session",)),
            *("--clearenv", *environment, "--chdir", HOME, "--"),
            *("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"),
            *("--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs", "--"),
            *arguments,
        ),
        log=log,
    )

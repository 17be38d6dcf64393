"""The command that runs a program inside a root: no network, no privileges, nothing of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.builders.environment import ENVIRONMENT, HOME, HOSTNAME, UID
from elpack.run import Command

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders.inside import Inside
    from elpack.builders.roots import CleanRoot


_PRELOAD = "/.elpack-preload.so"
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - of the sandbox, new each time


def sandboxed(
    root: CleanRoot,
    arguments: tuple[str, ...],
    log: Path | None = None,
    *,
    tty: bool = False,
    preload: Path | None = None,
    seccomp: Path | None = None,
    scratch: int = 0,
    inside: Inside | None = None,
) -> Command:
    """Return the command that runs `arguments` in the root as the build user.

    All namespaces but the user's are unshared: in a user namespace of one user nobody could become the build
    user. `setpriv`, from the root's util-linux, does that and gives up every capability for good. The first process
    in there is a shell that waits for it: with that shell's end the kernel ends all the others, before bwrap ends.
    With `tty` the program keeps the terminal, for a person who looks around. `preload` is a library of the host
    that every program in there loads first, such as the clock of a second build. `seccomp` is a file with a filter of
    system calls. `scratch` is the size of each folder for temporary files in bytes, half of the memory if it is 0.
    `inside` is what there is beside the root.
    """
    size = ("--size", str(scratch)) if scratch else ()
    environment = [word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)]
    if preload:
        environment += ["--ro-bind", str(preload), _PRELOAD, "--setenv", "LD_PRELOAD", _PRELOAD]
    return Command(
        (
            *filtered(seccomp),
            *("--bind", str(root.path), "/", "--bind", str(root.builddir), HOME),
            *("--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
            *(word for path in _SCRATCH for word in ("--perms", "1777", *size, "--tmpfs", path)),
            *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
            *("--hostname", HOSTNAME, "--die-with-parent", "--as-pid-1"),
            *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
            *(() if tty else ("--new-session",)),
            *("--clearenv", *environment, *(inside.words() if inside else ()), "--chdir", HOME, "--"),
            *("sh", "-c", '"$@"; exit $?', "sh"),
            *("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"),
            *("--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs", "--"),
            *arguments,
        ),
        log=log,
    )


def filtered(seccomp: Path | None) -> tuple[str, ...]:
    """Return the words that begin a bubblewrap command with a filter of system calls, if there is one."""
    if seccomp is None:
        return ("bwrap",)
    return ("sh", "-c", 'exec "$@" 9<"$0"', str(seccomp), "bwrap", "--seccomp", "9")

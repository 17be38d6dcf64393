"""What uv is told, for flavour `uv` of an image: the same words in a sandbox and in a Containerfile."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from elpack.model import Target

HOME = "/elpack"
"""Where all that the final stage does not get lies: uv, its cache, wheels, the source."""
UV = f"{HOME}/uv"
SOURCE = f"{HOME}/source"
WHEELS = f"{HOME}/wheels"
FINISH = f"{HOME}/finish_tree.py"
TREE = f"{HOME}/tree.json"
"""What `FINISH` is told; a stage has one for each of its trees."""


def environment(prefix: str, *, offline: bool = True) -> Mapping[str, str]:
    """Return uv's whole environment. `offline`: everything it may want is in its cache."""
    return {
        "HOME": f"{HOME}/home",
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "NO_COLOR": "1",
        "UV_CACHE_DIR": f"{HOME}/cache",
        "UV_LINK_MODE": "hardlink",
        "UV_NO_CONFIG": "1",
        "UV_NO_INSTALLER_METADATA": "1",
        "UV_NO_MANAGED_PYTHON": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PROJECT_ENVIRONMENT": prefix,
        "UV_PYTHON_DOWNLOADS": "never",
        **({"UV_OFFLINE": "1"} if offline else {}),
    }


def platform(target: Target) -> str:
    """Return the target's platform as uv calls it: the newest glibc that a wheel may ask for."""
    return f"{target.arch}-manylinux_{target.glibc[0]}_{target.glibc[1]}"


def venv(python: str, prefix: str) -> tuple[str, ...]:
    """Return the command that makes the empty tree for an interpreter."""
    return (UV, "venv", "--quiet", "--relocatable", "--no-project", "--python", python, prefix)


def sync(
    target: Target, python: str, extras: Iterable[NormalizedName], elsewhere: Iterable[NormalizedName]
) -> tuple[str, ...]:
    """Return the command that installs what the lock froze, but for those that come from `elsewhere`.

    The project itself is one of these. Nothing is built, so that nobody's code is run.
    """
    return (
        *(UV, "sync", "--quiet", "--frozen", "--no-dev", "--no-default-groups", "--no-editable", "--no-build"),
        *("--python", python, "--python-platform", platform(target)),
        *(word for extra in sorted(extras) for word in ("--extra", extra)),
        *(word for name in sorted(elsewhere) for word in ("--no-install-package", name)),
    )


def install(python: str, wheels: Iterable[str], target: Target | None = None) -> tuple[str, ...]:
    """Return the command that installs wheels, by their paths, into the environment of an interpreter."""
    return (
        *(UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-index", "--no-build", "--no-sources"),
        *("--python", python),
        *(("--python-platform", platform(target)) if target else ()),
        *sorted(wheels),
    )


def finish(python: str, action: str) -> tuple[str, ...]:
    """Return the command that gives a tree its form: ``bare`` behind `venv`, ``finish`` at the end."""
    return (python, "-sS", FINISH, action, TREE)


def stage_lines(
    prefix: str, context: str, python: str, commands: Iterable[tuple[tuple[str, ...], str]]
) -> tuple[str, ...]:
    """Return commands, each with its folder, as lines of shell for a RUN that sees the context read-only.

    A minimal base has a shell and Python; uv writes to its cache, so that all is copied first. `install` without
    wheels means all that there are.
    """
    values = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment(prefix).items())
    copy = f"import shutil; shutil.copytree('{context}{HOME}', '{HOME}', symlinks=True)"
    lines = [f"export {values}", shlex.join((python, "-sS", "-c", copy))]
    for argv, folder in commands:
        every = f" {WHEELS}/*.whl" if argv[1:3] == ("pip", "install") else ""
        lines.append(f"cd {shlex.quote(folder)} && {shlex.join(argv)}{every}")
    return tuple(lines)

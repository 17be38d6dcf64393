"""What uv is told, for flavour `uv` of an image: the same words in a sandbox and in a Containerfile."""

from __future__ import annotations

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


def venv(target: Target, prefix: str) -> tuple[str, ...]:
    """Return the command that makes the empty tree."""
    return (UV, "venv", "--quiet", "--relocatable", "--no-project", "--python", target.interpreter, prefix)


def sync(
    target: Target, extras: Iterable[NormalizedName], elsewhere: Iterable[NormalizedName]
) -> tuple[str, ...]:
    """Return the command that installs what the lock froze, except for those that come `elsewhere` from.

    The project itself is one of them or not wanted, and no code of anybody's is run: nothing is built.
    """
    return (
        *(UV, "sync", "--frozen", "--no-dev", "--no-default-groups", "--no-editable", "--no-build"),
        *("--python", target.interpreter, "--python-platform", platform(target)),
        *(word for extra in sorted(extras) for word in ("--extra", extra)),
        *(word for name in sorted(elsewhere) for word in ("--no-install-package", name)),
    )


def install(target: Target, prefix: str, wheels: Iterable[str]) -> tuple[str, ...]:
    """Return the command that installs wheels that were made here, by their names in `WHEELS`."""
    return (
        *(UV, "pip", "install", "--offline", "--no-deps", "--no-index", "--no-build", "--no-sources"),
        *("--python", f"{prefix}/bin/python", "--python-platform", platform(target)),
        *(f"{WHEELS}/{name}" for name in sorted(wheels)),
    )


def finish(target: Target, tree: str = TREE) -> tuple[str, ...]:
    """Return the command that gives a tree its final form."""
    return (target.interpreter, "-I", "-S", FINISH, tree)

"""Begins and ends a conversation with podman."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.engine.calls import connected, version
from elpack.engine.configuration import place
from elpack.engine.engine import Engine
from elpack.engine.service import served
from elpack.errors import EngineError, Problem
from elpack.run import CLEAN_ENV

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.run import Runner
    from elpack.workspace import Workspace


@contextmanager
def engine(workspace: Workspace, runner: Runner) -> Iterator[Engine]:
    """Connect to $CONTAINER_HOST, or start a service of our own with its own storage, and end it whatever happens.

    The caller holds the workspace (`alone`). Raises `EngineError`: no podman, a refused socket, a service that died or
    is older than 4.3.
    """
    if url := os.environ.get("CONTAINER_HOST"):
        if url.startswith("ssh:"):
            fix = (
                "forward its socket, such as by ssh -L /tmp/podman.sock:/run/podman/podman.sock HOST, and name that one"
            )
            raise EngineError(Problem("a service is not reached by ssh", "CONTAINER_HOST", fix=fix))
        with connected(url) as client:
            layers = place(workspace.work).layers
            layers.mkdir(parents=True, exist_ok=True)
            yield Engine(client, url, version(client), ours=False, layers=layers, runner=runner)
        return
    need_podman()
    with served(workspace.work, runner) as (client, where, environment, notices):
        yield Engine(
            client,
            f"unix://{where.socket}",
            version(client),
            ours=True,
            layers=where.layers,
            runner=runner,
            environment=environment,
            notices=notices,
        )


def need_podman() -> None:
    """Raise `EngineError` with all that a podman of our own lacks here; nothing where $CONTAINER_HOST names another."""
    if os.environ.get("CONTAINER_HOST"):
        return
    problems = []
    if shutil.which("podman", path=CLEAN_ENV["PATH"]) is None:
        fix = "apt-get install podman, or dnf install podman; or set CONTAINER_HOST to a service elsewhere"
        problems.append(Problem("podman is not installed", fix=fix))
    if os.geteuid() != 0:
        lacking = [name for name in ("/etc/subuid", "/etc/subgid") if not _has_range(Path(name))]
        usermod = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
        fix = f"run the same command with sudo, or let root run: {usermod}"
        problems += [
            Problem("without root, podman needs numbers for the users of containers", path, fix=fix) for path in lacking
        ]
    if problems:
        raise EngineError(*problems)


def _has_range(path: Path) -> bool:
    import getpass

    try:
        names = {line.partition(":")[0] for line in path.read_text().splitlines()}
    except OSError:
        return False
    return bool(names & {getpass.getuser(), str(os.getuid())})

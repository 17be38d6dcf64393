"""Begins and ends a conversation with podman."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.engine.engine import Engine
    from elpack.run import Runner
    from elpack.workspace import Workspace


@contextmanager
def engine(workspace: Workspace, runner: Runner) -> Iterator[Engine]:
    """Connect to $CONTAINER_HOST, or start a service of our own with its own storage, and end it whatever happens.

    The caller holds the workspace (`alone`). Raises `EngineError`: no podman, a refused socket, a service that died or
    is older than 4.3.
    """
    raise NotImplementedError
    yield

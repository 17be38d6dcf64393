"""The container engine: podman's API service, started by us or named by $CONTAINER_HOST, and what we ask of it."""

from __future__ import annotations

from elpack.engine.connect import engine
from elpack.engine.engine import Engine

__all__ = ["Engine", "engine"]

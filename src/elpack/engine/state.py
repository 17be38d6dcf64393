"""Says whether podman would work here."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from elpack.engine.calls import connected, version
from elpack.engine.connect import need_podman
from elpack.engine.service import served
from elpack.engine.storage import remove_storage
from elpack.errors import ElpackError
from elpack.run import run


def state() -> str:
    """Start the service, or ask that of $CONTAINER_HOST, and return what it says, or why it does not."""
    try:
        if url := os.environ.get("CONTAINER_HOST"):
            with connected(url) as client:
                return f"podman {'.'.join(map(str, version(client)))} at {url}"
        need_podman()
        return _tried(Path(tempfile.mkdtemp(prefix="elpack-doctor-")))
    except ElpackError as error:
        return str(error)


def _tried(work: Path) -> str:
    try:
        with served(work, run) as (client, _, _, notices):
            return ", ".join((f"podman {'.'.join(map(str, version(client)))} starts", *notices))
    finally:
        remove_storage(work, run)
        shutil.rmtree(work, ignore_errors=True)

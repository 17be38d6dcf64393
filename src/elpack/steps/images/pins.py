"""Reads a project's lock of base images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.errors import ImageError
from elpack.images.bases import LOCK, read_pins
from elpack.steps.texts import own_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.images.bases import PinnedBase
    from elpack.workspace import Workspace


def pins(workspace: Workspace) -> Mapping[str, PinnedBase]:
    """Return the digests that a project has for its bases. Raises `ImageError` with all that is wrong in their file."""
    path = workspace.home / LOCK
    return read_pins(own_text(path, LOCK, ImageError)) if path.exists() else {}

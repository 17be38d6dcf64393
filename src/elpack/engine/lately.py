"""What builds used lately: compressed layers, and images that hold the first layers of others. The rest is removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LATELY = 14 * 24 * 3600
"""Seconds. A build of one flavour must not cost the other one its layers, and old releases must not fill the disk."""


def stamp(layers: Path, image: str) -> Path:
    """Return the file whose time tells when an image of first layers, ``repository:tag``, was used."""
    return layers / f"{image.rpartition(':')[2]}.part"


def remove_unused(layers: Path) -> None:
    """Remove from the folder of layers what no build used lately, and what a killed run left there."""
    oldest = time.time() - _LATELY
    for path in layers.iterdir():
        if path.lstat().st_mtime < oldest:
            path.unlink()

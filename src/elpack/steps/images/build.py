"""Makes the images of a release out of its lock and its signed repository, and hands them over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from elpack.images.model import Flavour, Mode
    from elpack.images.oci import OciDigest
    from elpack.session import Session

FOLDER = "images"
"""The folder of images in a folder of results."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that was handed over.

    archive: the OCI archive, ``images/<application>-<tag>.oci.tar`` below the results; beside it lie its bill of
    materials (``.cdx.json``) and its provenance (``.intoto.json``, signed ``.dsse.json``). index: what the tag leads
    to; manifest: the image of the target's platform. size: bytes of the archive. cached: it had been made before.
    """

    flavour: Flavour
    mode: Mode
    tag: str
    archive: Path
    index: OciDigest
    manifest: OciDigest
    platform: str
    size: int
    seconds: float
    cached: bool


def build_images(
    session: Session, flavours: Sequence[Flavour], mode: Mode | None, say: Callable[[str], None]
) -> tuple[BuiltImage, ...]:
    """Make images and put them into the session's folder of results; empty and None: what the release says.

    The pipeline went up to its step `repository`. An image whose inputs did not change is not made again. Raises
    `ImageError`, `EngineError`, `RegistryError` for a base that cannot be had, and what layers raise.
    """
    raise NotImplementedError

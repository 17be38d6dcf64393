"""OCI image layouts as values: descriptors, manifests, indexes and configurations, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

OciDigest = NewType("OciDigest", str)
"""``sha256:`` and 64 hexadecimal digits; made by `oci_digest` alone."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, as Go names it: ``linux/amd64``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by digest; size in bytes."""

    media_type: str
    digest: OciDigest
    size: int
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """What an OCI archive holds. index: what a tag leads to; manifests: one for each platform."""

    index: OciDigest
    manifests: tuple[Descriptor, ...]

"""The bills of materials: what a release and its carriers consist of, as CycloneDX documents."""

from __future__ import annotations

from elpack.sbom.document import BuiltRpm, carrier_sbom, release_sbom
from elpack.sbom.image import Below, OsPackage, image_sbom

__all__ = ["Below", "BuiltRpm", "OsPackage", "carrier_sbom", "image_sbom", "release_sbom"]

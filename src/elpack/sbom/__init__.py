"""The bills of materials: what a release and its carriers consist of, as CycloneDX documents."""

from __future__ import annotations

from elpack.sbom.document import BuiltRpm, carrier_sbom, release_sbom

__all__ = ["BuiltRpm", "carrier_sbom", "release_sbom"]

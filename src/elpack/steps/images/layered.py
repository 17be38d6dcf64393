"""Takes layers into the engine as they are: what it makes of tars itself has other times than theirs."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from elpack.images.layered import blob_path, layered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from elpack.engine import Engine
    from elpack.images.model import Layer
    from elpack.images.oci import OciDigest


def load_layers(
    engine: Engine,
    layers: Sequence[Layer],
    name: str,
    *,
    arch: str,
    when: int,
    into: Path,
    labels: Mapping[str, str] | None = None,
) -> OciDigest:
    """Make an image of layers in the engine, under the name ``localhost/...:tag``, and return its manifest's digest.

    A Containerfile that starts from it and only sets things adds no layer of its own, whatever its --timestamp.
    arch: as RPM spells it; when: the image's time; into: a folder for the archive, which is removed again.
    """
    archive = into / "layers.oci.tar"
    try:
        digest = write_layers(archive, layers, name, arch=arch, when=when, labels=labels or {})
        engine.tag(engine.load(archive), name)
    finally:
        archive.unlink(missing_ok=True)
    return digest


def write_layers(
    archive: Path, layers: Sequence[Layer], name: str, *, arch: str, when: int, labels: Mapping[str, str]
) -> OciDigest:
    """Write an OCI archive with uncompressed layers, and return its manifest's digest."""
    image = layered(layers, name, arch, when, labels)
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as file:
        for path, text in image.documents.items():
            info = tarfile.TarInfo(path)
            info.size = len(text)
            file.addfile(info, io.BytesIO(text))
        for layer in {one.sha256: one for one in layers}.values():
            info = tarfile.TarInfo(blob_path(f"sha256:{layer.sha256}"))
            info.size = layer.size
            with layer.tar.open("rb") as data:
                file.addfile(info, data)
    return image.digest

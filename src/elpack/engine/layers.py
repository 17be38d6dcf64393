"""Takes tars into the engine as layers, as they are: what it makes of them itself has other times than theirs."""

from __future__ import annotations

import hashlib
import tarfile
from typing import TYPE_CHECKING

from elpack.engine.archive import keep
from elpack.engine.calls import events, streamed
from elpack.errors import EngineError, ImageError, Problem
from elpack.images.layered import Below, blob_path, layered
from elpack.images.model import Layer
from elpack.images.oci import oci_digest
from elpack.model import Sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from elpack.engine.engine import Engine
    from elpack.images.layered import Layered
    from elpack.images.oci import OciDigest

_CHUNK = 1 << 20


def load_layers(  # noqa: PLR0917 - what an image of layers is
    engine: Engine,
    tars: Sequence[Path],
    name: str,
    platform: str,
    when: int,
    labels: Mapping[str, str] | None = None,
    *,
    used_here: bool = False,
) -> OciDigest:
    """Make an image of tars, lowest first, under the name ``localhost/...:tag``, and return its manifest's digest.

    platform: ``linux/amd64``; when: its time in seconds since 1970. used_here: it is never saved or pushed, so that
    compressing its layers would be in vain. Raises `ImageError`, `DiskFullError`.
    """
    layers = tuple(_layer(tar) for tar in tars)
    image = layered(layers, name, platform, when, labels or {})
    _load(engine, image, layers, name, kept=not used_here)
    return image.digest


def set_upon(  # noqa: PLR0917 - the same
    engine: Engine, base: str, tars: Sequence[Path], platform: str, when: int, names: str
) -> Iterator[str]:
    """Set tars upon an image, or upon ``scratch``, one after the other; yield the name of the image with each of them.

    names: repository of these images, whose tags say what is in them: what is there already is not sent again, nor are
    the layers below. Raises `ImageError`, `DiskFullError`.
    """
    for tar in tars:
        layer, below = _layer(tar), _below(engine, base)
        under = "scratch" if base == "scratch" else engine.id_of(base)
        key = hashlib.sha256("\0".join((under, layer.name, layer.sha256, platform, str(when))).encode()).hexdigest()
        base = f"{names}:{key}"
        if not engine.has(base):
            _load(engine, layered((layer,), base, platform, when, {}, below), (layer,), base)
        yield base


def _below(engine: Engine, base: str) -> Below:
    if base == "scratch":
        return Below({}, (), ())
    found = engine.inspect(base)
    try:
        config = {key: value for key, value in (found["Config"] or {}).items() if value}
        history = [{key: one[key] for key in sorted(one) if key != "comment"} for one in found.get("History") or ()]
        return Below(config, tuple(map(oci_digest, found["RootFS"]["Layers"])), tuple(history))
    except (AttributeError, KeyError, TypeError):
        raise ImageError(Problem("podman says nothing of its layers", base)) from None


def _load(engine: Engine, image: Layered, layers: Sequence[Layer], name: str, *, kept: bool = True) -> None:
    for layer in layers if kept else ():
        keep(engine, layer)
    try:
        with streamed(engine.client, "POST", "/images/load", {}, _archive(image, layers)) as response:
            answer = [found for event in events(response) for found in event.get("Names") or ()]
    except EngineError as error:
        raise ImageError(Problem(f"podman cannot load it: {error.problems[0].what}", name)) from error
    if len(answer) != 1:
        raise ImageError(Problem(f"podman loaded {len(answer)} images of it", name, "expected one"))
    engine.tag(engine.id_of(str(answer[0]).removeprefix("sha256:")), name)


def _layer(tar: Path) -> Layer:
    with tar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Layer(tar.stem, tar, Sha256(digest), tar.stat().st_size)


def _archive(image: Layered, layers: Sequence[Layer]) -> Iterator[bytes]:
    """Yield an OCI archive with uncompressed layers."""
    for path, text in image.documents.items():
        yield _header(path, len(text)) + text + bytes(-len(text) % tarfile.BLOCKSIZE)
    for layer in {one.sha256: one for one in layers}.values():
        yield _header(blob_path(f"sha256:{layer.sha256}"), layer.size)
        with layer.tar.open("rb") as data:
            while chunk := data.read(_CHUNK):
                yield chunk
        yield bytes(-layer.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)

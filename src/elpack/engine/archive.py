"""Writes an image as an OCI archive whose bytes hang on its content alone, whichever podman made it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import struct
import tarfile
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from elpack.atomic import write_text
from elpack.engine.calls import streamed, told
from elpack.errors import ImageError, Problem
from elpack.images.oci import (
    CONFIG,
    INDEX,
    LABELS,
    LAYER,
    LAYOUT,
    MANIFEST,
    Descriptor,
    ImageArchive,
    OciDigest,
    canonical_config,
    digest_of,
    dumped,
    index_text,
    manifest_text,
    read_config,
)
from elpack.pieces import as_file
from elpack.run import Command
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.engine.engine import Engine
    from elpack.images.model import Layer
    from elpack.images.oci import Config

_LAYER_FILE = re.compile(r"([0-9a-f]{64})\.tar")
_CHUNK = 1 << 20
_ELF, _HEADER, _LITTLE = b"\x7fELF", 20, 1
_PROGRAMS = (2, 3)
"""e_type of what can be run or loaded."""


@dataclass(frozen=True, slots=True)
class _Compressed:
    """A layer as it is pushed, and which machines the programs in it are for."""

    path: Path
    digest: OciDigest
    size: int
    machines: Mapping[int, int]


def save(engine: Engine, image: str, into: Path, annotations: Mapping[str, str] | None) -> ImageArchive:
    """Write the archive; see `Engine.save`."""
    content = canonical_config(dumped(_configuration(engine.inspect(image))), f"configuration of {image}")
    config = read_config(content, image)
    if any(_known(engine, digest.removeprefix("sha256:")) is None for digest in config.layers):
        _export(engine, image)
    layers = [_layer(engine, digest) for digest in config.layers]
    _check_machines(image, config, layers)
    if annotations is None:
        annotations = {key: value for key, value in config.labels.items() if key.startswith(LABELS)}
    described = [Descriptor(LAYER, one.digest, one.size) for one in layers]
    small = {digest_of(content): content}

    def kept(media_type: str, text: bytes) -> Descriptor:
        small[digest_of(text)] = text
        return Descriptor(media_type, digest_of(text), len(text))

    one = kept(MANIFEST, manifest_text(kept(CONFIG, content), described, annotations))
    manifest = Descriptor(one.media_type, one.digest, one.size, config.platform)
    index = kept(INDEX, index_text([manifest], annotations))
    _write(into, index_text([index]), small, layers)
    return ImageArchive(index.digest, (manifest,), (digest_of(content),))


def keep(engine: Engine, layer: Layer) -> None:
    """Compress a layer that is to be loaded, so that nobody need ask podman for it. Raises `ImageError`."""
    if _known(engine, layer.sha256) is None:
        tar = engine.layers / f"{layer.sha256}.tar"
        tar.unlink(missing_ok=True)
        try:
            tar.hardlink_to(layer.tar)
        except OSError:  # another file system
            shutil.copyfile(layer.tar, tar)
        _compress(engine, tar, layer.sha256)


def _configuration(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration out of what podman knows of an image: its own text comes with all layers only."""
    rootfs = found.get("RootFS")
    return {
        "created": found.get("Created"),
        "architecture": found.get("Architecture"),
        "os": found.get("Os"),
        "config": found.get("Config"),
        "rootfs": {"type": "layers", "diff_ids": rootfs.get("Layers") if isinstance(rootfs, dict) else None},
        "history": found.get("History"),
    }


def _export(engine: Engine, image: str) -> None:
    """Put the layers of an image where `_layer` finds them. Raises `ImageError`.

    In this form podman gives layers as they are, which takes half the time of compressing them all.
    """
    name = engine.id_of(image)
    with (
        streamed(engine.client, "GET", f"/images/{name}/get", {"format": "docker-archive"}) as response,
        told(f"export of {image}"),
    ):
        try:
            with tarfile.open(fileobj=as_file(response.iter_content(_CHUNK)), mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    if file is None:
                        continue
                    if found := _LAYER_FILE.fullmatch(member.name):
                        _receive(engine, found[1], file)
        except tarfile.TarError as error:
            raise ImageError(Problem(f"podman's export broke off: {error}", image)) from None


def _receive(engine: Engine, name: str, file: IO[bytes]) -> None:
    """Compress a layer, unless that was done before."""
    if _known(engine, name):
        return
    tar = engine.layers / f"{name}.tar"
    found = hashlib.sha256()
    with tar.open("wb") as out:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            out.write(chunk)
    if found.hexdigest() != name:
        tar.unlink()
        raise ImageError(Problem("podman exported a layer that has another digest", f"sha256:{name}"))
    _compress(engine, tar, name)


def _compress(engine: Engine, tar: Path, name: str) -> None:
    try:
        machines = _machines(tar)
        # GNU gzip's output is the same on every host; that of zlib differs with its makers
        engine.runner(Command(("gzip", "-6", "--no-name", "--force", str(tar)))).check()
    finally:
        tar.unlink(missing_ok=True)
    packed = engine.layers / f"{name}.tar.gz"
    packed.touch()  # gzip gives it the time of the tar
    with packed.open("rb") as compressed:
        digest = hashlib.file_digest(compressed, "sha256").hexdigest()
    record = {"digest": f"sha256:{digest}", "size": packed.stat().st_size, "machines": machines}
    write_text(engine.layers / f"{name}.json", json.dumps(record))


def _known(engine: Engine, name: str) -> _Compressed | None:
    path, record_path = engine.layers / f"{name}.tar.gz", engine.layers / f"{name}.json"
    try:
        record = json_value(record_path.read_bytes())
        machines = {int(machine): count for machine, count in record["machines"].items()}
        found = _Compressed(path, OciDigest(record["digest"]), record["size"], machines)
        if path.stat().st_size != found.size:
            return None
        for used in (path, record_path):
            used.touch()  # see `lately`
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return found


def _layer(engine: Engine, digest: OciDigest) -> _Compressed:
    found = _known(engine, digest.removeprefix("sha256:"))
    if found is None:
        raise ImageError(Problem("podman exported an image without this layer", digest))
    return found


def _machines(tar: Path) -> Mapping[int, int]:
    """Return for how many programs and libraries of a layer the ELF header names each machine."""
    found: Counter[int] = Counter()
    try:
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() and member.size >= _HEADER else None
                if file and (machine := _machine(file.read(_HEADER))) is not None:
                    found[machine] += 1
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ImageError(Problem(f"a layer is no tar: {error}", tar.name)) from None
    return found


def _machine(header: bytes) -> int | None:
    if not header.startswith(_ELF):
        return None
    order = "<" if header[5] == _LITTLE else ">"
    kind, machine = struct.unpack_from(f"{order}HH", header, 16)
    return int(machine) if kind in _PROGRAMS else None


def _check_machines(image: str, config: Config, layers: list[_Compressed]) -> None:
    """Refuse an image whose programs are another machine's: engines label what they build as they are told."""
    expected = config.platform.machine
    why = "platforms were mixed: every FROM needs the same --platform, and a base of that platform"
    wrong = [
        Problem(f"it says {config.platform}, but most programs in a layer are for ELF machine {most}", digest, why)
        for layer, digest in zip(layers, config.layers, strict=True)
        if expected
        and layer.machines
        and (most := max(layer.machines, key=lambda one: layer.machines[one])) != expected
    ]
    if wrong:
        raise ImageError(*wrong, Problem("nothing was written", image))


def _write(into: Path, top: bytes, small: Mapping[OciDigest, bytes], layers: list[_Compressed]) -> None:
    partial = into.with_name(f".{into.name}.new")
    large = {one.digest: one for one in layers}
    try:
        with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
            _add(archive, "oci-layout", LAYOUT.encode())
            _add(archive, "index.json", top)
            for folder in ("blobs", "blobs/sha256"):
                archive.addfile(_info(folder, kind=tarfile.DIRTYPE))
            for digest in sorted({*small, *large}):
                name = f"blobs/sha256/{digest.removeprefix('sha256:')}"
                if digest in small:
                    _add(archive, name, small[digest])
                else:
                    _add_layer(archive, name, large[digest])
        partial.replace(into)
    finally:
        partial.unlink(missing_ok=True)


def _add_layer(archive: tarfile.TarFile, name: str, layer: _Compressed) -> None:
    with layer.path.open("rb") as file:
        hashed = _Hashed(file)
        archive.addfile(_info(name, layer.size), hashed)  # type: ignore[arg-type]
    if f"sha256:{hashed.digest.hexdigest()}" != layer.digest:
        layer.path.unlink()
        raise ImageError(Problem("a compressed layer was changed on disk", str(layer.path), fix="run it again"))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_info(name, len(content)), io.BytesIO(content))


def _info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = size, kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self.file.read(size)
        self.digest.update(chunk)
        return chunk

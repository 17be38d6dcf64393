"""OCI image layouts in tar files, as they are pushed: what they hold, and their blobs piece by piece."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elpack.errors import ImageError, Problem
from elpack.images.oci import Descriptor, OciDigest, Platform
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LARGEST = 4 << 20
_MOST = 4096
_CHUNK = 1 << 18
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FIX = "elpack image build makes it anew"


@dataclass(frozen=True, slots=True)
class Image:
    """One platform's image in an archive: its manifest, and the blobs that this names, the configuration first."""

    descriptor: Descriptor
    manifest: bytes
    blobs: tuple[Descriptor, ...]


class Archive:
    """An OCI image layout in a tar file, whose index.json names one index. Raises `ImageError` when it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._places = dict(_places(path))
        except (tarfile.TarError, ValueError) as error:
            raise self._wrong(str(error)) from None
        top = self._entries(self._member("index.json"), "manifests", "index.json")
        if len(top) != 1 or top[0].media_type != INDEX:
            raise self._wrong("index.json does not name one index")
        self.index = self.read(top[0].digest)
        """The bytes of what a tag is to name."""
        self.digest = top[0].digest
        self.images = tuple(map(self._image, self._entries(self.index, "manifests", "the index")))

    def read(self, digest: OciDigest) -> bytes:
        """Return a small blob, such as a manifest."""
        content = self._member(_name(digest))
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise self._wrong(f"{digest} is another blob")
        return content

    def pieces(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob. Raises `ImageError` at its end when it has another digest."""
        offset, left = self._places[_name(blob.digest)]
        found = hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(offset)
            while left and (piece := file.read(min(left, _CHUNK))):
                found.update(piece)
                left -= len(piece)
                yield piece
        if f"sha256:{found.hexdigest()}" != blob.digest:
            raise self._wrong(f"{blob.digest} is another blob")

    def _image(self, descriptor: Descriptor) -> Image:
        if descriptor.media_type != MANIFEST or descriptor.platform is None:
            raise self._wrong("the index names what is no image of a platform")
        manifest = self.read(descriptor.digest)
        if len(manifest) != descriptor.size:
            raise self._wrong("the index says another size of a manifest")
        where = f"the manifest of {descriptor.platform}"
        config = self._entry(self._object(manifest, where).get("config"), where)
        blobs = (config, *self._entries(manifest, "layers", where))
        for blob in blobs:
            if self._places.get(_name(blob.digest), (0, -1))[1] != blob.size:
                raise self._wrong(f"{where} names {blob.digest}, which is not there with that size")
        return Image(descriptor, manifest, blobs)

    def _member(self, name: str) -> bytes:
        offset, size = self._places.get(name, (0, -1))
        if not 0 <= size <= _LARGEST:
            raise self._wrong(f"{name} is not there, or too large")
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _entries(self, document: bytes, name: str, where: str) -> tuple[Descriptor, ...]:
        entries = self._object(document, where).get(name)
        if not isinstance(entries, list) or len(entries) > _MOST:
            raise self._wrong(f"{name} of {where} is no list")
        return tuple(self._entry(entry, where) for entry in entries)

    def _entry(self, entry: Any, where: str) -> Descriptor:
        try:
            there = entry.get("platform")
            platform = Platform(there["os"], there["architecture"], there.get("variant", "")) if there else None
            found = Descriptor(entry["mediaType"], OciDigest(entry["digest"]), entry["size"], platform)
            sound = (
                isinstance(entry["mediaType"], str) and type(entry["size"]) is int and _DIGEST.fullmatch(found.digest)
            )
        except (KeyError, TypeError, AttributeError):
            raise self._wrong(f"{where} holds what is no descriptor") from None
        if not sound or found.size < 0:
            raise self._wrong(f"{where} holds what is no descriptor")
        return found

    def _object(self, document: bytes, where: str) -> Mapping[str, Any]:
        try:
            value = json_value(document)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._wrong(f"{where} is no JSON object")
        return value

    def _wrong(self, what: str) -> ImageError:
        return ImageError(Problem(f"it is no OCI archive that can be pushed: {what}", str(self.path), fix=_FIX))


def index_of(archives: Sequence[Archive]) -> bytes:
    """Return what a tag is to name: the index of one archive as it is, or one of all platforms, in their order.

    Raises `ImageError` when two of them hold the same platform.
    """
    if len(archives) == 1:
        return archives[0].index
    found: dict[str, tuple[Mapping[str, Any], Archive]] = {}
    documents = [(json_value(archive.index), archive) for archive in archives]
    for document, archive in documents:
        for entry, image in zip(document["manifests"], archive.images, strict=True):
            platform = str(image.descriptor.platform)
            if platform in found:
                what = f"{archive.path.name} holds an image for {platform}, which is in {found[platform][1].path} too"
                raise ImageError(Problem(what, str(archive.path), fix=_FIX))
            found[platform] = entry, archive
    common = dict(documents[0][0].get("annotations", {}).items())
    for document, _ in documents[1:]:
        others = document.get("annotations", {})
        common = {name: value for name, value in common.items() if others.get(name) == value}
    merged = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [found[platform][0] for platform in sorted(found)],
        **({"annotations": common} if common else {}),
    }
    return json.dumps(merged, separators=(",", ":"), sort_keys=True).encode()


def _places(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield name, offset and size of each file that a layout consists of."""
    with tarfile.open(path, "r:") as tar:
        for count, member in enumerate(tar):
            name = member.name.removeprefix("./")
            if count >= _MOST:
                raise ValueError(f"it has more than {_MOST} members")
            if name in {"index.json", "oci-layout"} or _BLOB.fullmatch(name):
                if not member.isreg() or member.issparse():
                    raise ValueError(f"{name} is no regular file")
                yield name, (member.offset_data, member.size)


def _name(digest: OciDigest) -> str:
    return f"blobs/{digest.replace(':', '/')}"

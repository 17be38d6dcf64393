"""OCI image layouts in tar files, as they are pushed: what they hold, and their blobs piece by piece."""

from __future__ import annotations

import hashlib
import re
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from elpack.errors import ImageError, Problem
from elpack.images.oci import (
    INDEX,
    LAYOUT,
    MANIFEST,
    Descriptor,
    OciDigest,
    digest_of,
    index_text,
    read_annotations,
    read_index,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

_LARGEST = 4 << 20
_MOST = 4096
_CHUNK = 1 << 18
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
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
        top = self._read(read_index, self._member("index.json"), "index.json")
        if len(top) != 1 or top[0].media_type != INDEX:
            raise self._wrong("index.json does not name one index")
        self.index = self.read(top[0].digest)
        """The bytes of what a tag is to name."""
        self.digest = top[0].digest
        self.images = tuple(map(self._image, self._read(read_index, self.index, "the index")))
        self.annotations = self._read(read_annotations, self.index, "the index")

    def read(self, digest: OciDigest) -> bytes:
        """Return a small blob, such as a manifest."""
        content = self._member(_name(digest))
        if digest_of(content) != digest:
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

    def alone(self, image: Image) -> Iterator[bytes]:
        """Yield an archive of one of the images, piece by piece, without an index that engines would choose out of."""
        top = index_text([replace(image.descriptor, platform=None)])
        for name, content in (("oci-layout", LAYOUT.encode()), ("index.json", top)):
            yield _header(name, len(content)) + content + _filling(len(content))
        yield _header(_name(image.descriptor.digest), len(image.manifest))
        yield image.manifest + _filling(len(image.manifest))
        for blob in {one.digest: one for one in image.blobs}.values():
            yield _header(_name(blob.digest), blob.size)
            yield from self.pieces(blob)
            yield _filling(blob.size)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _image(self, descriptor: Descriptor) -> Image:
        if descriptor.media_type != MANIFEST or descriptor.platform is None:
            raise self._wrong("the index names what is no image of a platform")
        manifest = self.read(descriptor.digest)
        if len(manifest) != descriptor.size:
            raise self._wrong("the index says another size of a manifest")
        where = f"the manifest of {descriptor.platform}"
        named = self._read(read_manifest, manifest, where)
        blobs = (named.config, *named.layers)
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

    def _read(self, reader: Callable[[bytes, str], T], document: bytes, where: str) -> T:
        try:
            return reader(document, where)
        except ImageError as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, what: str) -> ImageError:
        return ImageError(Problem(f"it is no OCI archive that can be pushed: {what}", str(self.path), fix=_FIX))


def index_of(archives: Sequence[Archive]) -> bytes:
    """Return what a tag is to name: the index of one archive as it is, or one of all platforms, in their order.

    Raises `ImageError` when two of them hold the same platform.
    """
    if len(archives) == 1:
        return archives[0].index
    found: dict[str, tuple[Descriptor, Archive]] = {}
    for archive in archives:
        for image in archive.images:
            platform = str(image.descriptor.platform)
            if platform in found:
                what = f"{archive.path.name} holds an image for {platform}, which is in {found[platform][1].path} too"
                raise ImageError(Problem(what, str(archive.path), fix=_FIX))
            found[platform] = image.descriptor, archive
    common = {
        name: value
        for name, value in archives[0].annotations.items()
        if all(one.annotations.get(name) == value for one in archives)
    }
    return index_text([found[platform][0] for platform in sorted(found)], common)


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


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _filling(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _name(digest: OciDigest) -> str:
    return f"blobs/{digest.replace(':', '/')}"

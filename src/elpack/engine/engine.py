"""What elpack asks of podman: build, save, load, pull, tag, remove. Containers are podman-py's (`Engine.client`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from podman import PodmanClient

    from elpack.images.oci import ImageArchive, OciDigest


@dataclass(frozen=True, slots=True)
class Engine:
    """A connection to podman. Images are named by id (64 hexadecimal digits), or by name with tag or digest.

    url: where it listens; version: podman's. ours: the service and its storage are elpack's own, not the user's.
    environment: what podman and skopeo are to be run with to see the same storage; None where it is not ours.
    """

    client: PodmanClient
    url: str
    version: tuple[int, ...]
    ours: bool
    environment: Mapping[str, str] | None = None

    def build(
        self,
        context: Path,
        containerfile: Path,
        *,
        platform: str,
        timestamp: int,
        progress: Callable[[str], None],
        log: Path,
        volumes: tuple[tuple[Path, str], ...] = (),
    ) -> str:
        """Build an image without network, and return its id.

        platform: ``linux/amd64``. timestamp: seconds since 1970, of the image and of all that it adds. progress gets
        each line as it comes, log all of them. volumes: folders of this host that RUN sees read-only, and where.
        Raises `ImageError` with the end of the log, `DiskFullError`.
        """
        raise NotImplementedError

    def save(self, image: str, into: Path, annotations: Mapping[str, str] | None = None) -> ImageArchive:
        """Write an image as an OCI archive: an index with one manifest, layers gzipped by us, the same bytes each time.

        annotations: of index and manifest; by default the labels `org.opencontainers.image.…`. Raises `ImageError` when
        its architecture is not that of the programs in it.
        """
        raise NotImplementedError

    def load(self, archive: Path) -> str:
        """Take an OCI archive into the storage and return the image's id. Raises `ImageError`."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Tell whether the storage holds an image."""
        raise NotImplementedError

    def pull(self, reference: str, platform: str, digest: OciDigest | None = None) -> str:
        """Fetch ``registry/name[:tag][@digest]`` and return its id, unless it is there.

        Raises `RegistryError` when it cannot be had, `ImageError` when it is for another platform or has another
        digest.
        """
        raise NotImplementedError

    def tag(self, image: str, name: str) -> None:
        """Give an image a name ``repository:tag``, which another one may have had before."""
        raise NotImplementedError

    def remove(self, image: str) -> None:
        """Remove an image with all its names, and containers of it; none there is fine."""
        raise NotImplementedError

    def prune(self) -> None:
        """Remove what no name leads to: images of failed and of earlier builds."""
        raise NotImplementedError

    def export_rootfs(self, image: str, into: Path) -> None:
        """Write the root file system of an image as one tar, the content of all layers merged."""
        raise NotImplementedError

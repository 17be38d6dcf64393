"""What provenance states of an image: its archive, what its tag leads to, and the image of each platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.manifest import digest_of
from elpack.steps.images.archive import Archive

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".oci.tar"


def subjects_of(path: Path, folder: Path) -> dict[str, str]:
    """Return the sha256 digests of an OCI archive below a folder, by what they are of.

    ``images/app-1-1.el9-uv.oci.tar`` is the file, ``app-1-1.el9-uv`` the index and ``app-1-1.el9-uv@linux/amd64`` the
    manifest of a platform. Raises `ImageError` when it is no archive of an image.
    """
    archive, stem = Archive(path), path.name.removesuffix(SUFFIX)
    found = {str(path.relative_to(folder)): digest_of(path), stem: _hex(archive.digest)}
    return found | {f"{stem}@{one.descriptor.platform}": _hex(one.descriptor.digest) for one in archive.images}


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")

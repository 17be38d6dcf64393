"""Which key signs images: the release file's, one that is named, or the throwaway key of snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.images.model import Images
    from elpack.sigstore import SigningKey
    from elpack.workspace import Workspace


def image_key(
    workspace: Workspace, images: Images, named: str = "", passphrase: Callable[[Path], bytes] | None = None
) -> SigningKey:
    """Return the key that signs images: `named`, else [images] key, else the throwaway key, made when first needed.

    `named` is a path; [images] key is relative to the release file. passphrase: asked for the key at a path if that is
    encrypted; without it COSIGN_PASSWORD counts, and what is not there is an error. Raises `SigningError`.
    A throwaway key (`SigningKey.throwaway`) is `image.key` in the work folder, mode 0600, PKCS#8.
    """
    raise NotImplementedError

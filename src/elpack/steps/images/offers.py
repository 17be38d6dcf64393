"""What is pushed of the images in dist/, to which place, and by which keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from elpack.config.images import image_repository
from elpack.errors import ImageError, Problem, RegistryError, SigningError
from elpack.images.annotations import platform_of
from elpack.sigstore import CYCLONEDX, SLSA
from elpack.steps.images.push import Offer
from elpack.steps.images.ready import ready_images
from elpack.strict import json_value

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import Release
    from elpack.images.model import Images
    from elpack.listed import Manifest
    from elpack.sigstore import SigningKey
    from elpack.steps.images.ready import Ready, Wanted

_LARGEST = 64 << 20
_BACK = "elpack image build makes it anew"

THROWAWAY = (
    "the image is signed by a THROWAWAY key: a snapshot for trying it out, which nobody should trust. "
    "For a release set [images] key; see docs/how-to/push-and-sign-images.md"
)


def repository_of(release: Release, to: str) -> tuple[Images, str]:
    """Return what a release says of images, and where they are pushed: `to`, or the release file's repository.

    Raises `ImageError` for a release without images, `RegistryError` when no place is named or none can be there.
    """
    if release.images is None:
        fix = "add it, see docs/reference/release-file.md"
        raise ImageError(Problem("the release makes no images: it has no table [images]", "elpack.toml", fix=fix))
    fix = "--to registry.example.org/path/name, or [images] repository in elpack.toml"
    if not to and not release.images.repository:
        raise RegistryError(Problem("nobody says where to push", fix=fix))
    try:
        return release.images, image_repository(to) if to else release.images.repository
    except ValueError as error:
        raise RegistryError(Problem(str(error), "--to", fix=fix)) from error


def refuse_throwaway(key: SigningKey, *, snapshot: bool) -> None:
    """Raise `SigningError` when a throwaway key would sign what is no snapshot."""
    if key.throwaway and not snapshot:
        fix = "set [images] key, see docs/how-to/push-and-sign-images.md; or push a --snapshot"
        raise SigningError(Problem("a throwaway key signs snapshots, never a release", "images", fix=fix))


def other_keys(dist: Path, key: SigningKey) -> list[Path]:
    """Return the public keys that were handed over with images and are not that of the key which signs them."""
    return [path for path in sorted(dist.glob("*/*/images/*.pub")) if path.read_bytes() != key.public.pem]


def offers(dist: Path, release: Release, wanted: Wanted, *, snapshot: bool = False) -> tuple[Offer, ...]:
    """Return the images that are to be pushed, in order of tags. Raises `ImageError`, see `ready_images`."""
    return tuple(
        Offer(one.archives, one.tag, _attested(one)) for one in ready_images(dist, release, wanted, snapshot=snapshot)
    )


def _attested(image: Ready) -> dict[str, dict[str, Any]]:
    """Return what is attested of an image, by platform."""
    return {
        platform_of(arch): _predicates(folder, listed, image.stem)
        for arch, (folder, listed) in sorted(image.folders.items())
    }


def _predicates(folder: Path, listed: Manifest, stem: str) -> dict[str, Any]:
    """Return what is attested of an image: what the documents beside it say."""
    names = {file.path for file in listed.files}
    found = {}
    for predicate_type, name in ((CYCLONEDX, f"images/{stem}.cdx.json"), (SLSA, f"images/{stem}.intoto.json")):
        if name in names:
            document = _document(folder / name)
            said = document if predicate_type == CYCLONEDX else document.get("predicate")
            if not isinstance(said, dict):
                raise ImageError(Problem("it is no statement with a predicate", str(folder / name), fix=_BACK))
            found[predicate_type] = said
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json_value(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ImageError(Problem("it is no JSON object that can be attested", str(path), fix=_BACK))
    return document

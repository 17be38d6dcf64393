"""The images in dist/ that may be pushed, and every reason why they may not."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.config.images import image_repository
from elpack.errors import ImageError, Problem, RegistryError, SigningError
from elpack.images.annotations import platform_of, tag_of
from elpack.manifest import digest_of, finished, misplaced, read_manifest
from elpack.sigstore import CYCLONEDX, SLSA
from elpack.steps.images.push import Offer
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from elpack.config import Release
    from elpack.images.model import Flavour, Images
    from elpack.listed import Manifest
    from elpack.sigstore import SigningKey

_ARCHIVE = re.compile(r"images/([^/]+)\.oci\.tar")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LARGEST = 64 << 20
_BACK = "elpack image build makes it anew"

THROWAWAY = (
    "the image is signed by a THROWAWAY key: a snapshot for trying it out, which nobody should trust. "
    "For a release set [images] key; see docs/how-to/push-and-sign-images.md"
)


@dataclass(slots=True)
class _Found:
    archives: list[Path] = field(default_factory=list)
    predicates: dict[str, dict[str, Any]] = field(default_factory=dict)


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


def offers(
    dist: Path, release: Release, *, target: str = "", flavours: Collection[Flavour] = (), snapshot: bool = False
) -> tuple[Offer, ...]:
    """Return the images that lie in dist/, those of one name in several architectures together, in order of tags.

    target, flavours: only these, if any. Raises `ImageError` with every reason why they are not to be pushed: nothing
    there, changed since they were made, unsigned results, or a stand-in's or a throwaway key's without `snapshot`.
    """
    found: dict[str, _Found] = defaultdict(_Found)
    problems: list[Problem] = []
    for folder in finished(dist):
        listed = read_manifest(folder, ImageError)
        stems = [match[1] for file in listed.files if (match := _ARCHIVE.fullmatch(file.path))]
        stems = [stem for stem in stems if not flavours or stem.rpartition("-")[2] in set(flavours)]
        if not stems or target not in {"", listed.target}:
            continue
        problems += [*misplaced(folder, listed, str(folder)), *_reasons(folder, listed, release, snapshot=snapshot)]
        for stem in stems:
            if damaged := list(_damaged(folder, listed, stem)):
                problems += damaged
                continue
            one = found[tag_of(release.application.name, stem)]
            one.archives.append(folder / f"images/{stem}.oci.tar")
            one.predicates[platform_of(listed.arch)] = _predicates(folder, listed, stem)
    problems += [Problem(f"{tag!r} cannot be a tag", str(dist)) for tag in found if not _TAG.fullmatch(tag)]
    if problems:
        raise ImageError(*problems)
    if not found:
        what = f"there are no images{f' for {target}' if target else ''}"
        raise ImageError(Problem(what, str(dist), fix="elpack image build makes them"))
    return tuple(Offer(one.archives, tag, one.predicates) for tag, one in sorted(found.items()))


def _reasons(folder: Path, listed: Manifest, release: Release, *, snapshot: bool) -> Iterator[Problem]:
    where = str(folder)
    if listed.release != release.name:
        yield Problem(f"these are results of {listed.release}, not of {release.name}", where)
    if not listed.fingerprint:
        yield Problem("the results that the images belong to are not signed", where, fix="elpack sign")
    if listed.standin and not snapshot:
        yield Problem("they are made of the stand-in, and nothing of it is EL9's", where, fix="--snapshot")
    if listed.throwaway and not snapshot:
        fix = "set [signing] key and build, or push it as a --snapshot"
        yield Problem("a throwaway key signed the packages in them", where, fix=fix)


def _damaged(folder: Path, listed: Manifest, stem: str) -> Iterator[Problem]:
    """Yield which files of an image are not what the manifest lists."""
    for file in listed.files:
        if not file.path.startswith(f"images/{stem}."):
            continue
        path = folder / file.path
        if not path.is_file() or path.is_symlink():
            yield Problem("it is not there", str(path), fix=_BACK)
        elif path.stat().st_size != file.content.size or digest_of(path) != file.content.sha256:
            yield Problem("it is not what the manifest lists", str(path), fix=_BACK)


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

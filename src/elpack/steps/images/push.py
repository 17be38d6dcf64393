"""Pushes an image that lies in dist/: blobs, manifests, signatures and attestations, and its tag last of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem, RegistryError
from elpack.images.oci import INDEX, MANIFEST, digest_of
from elpack.steps.images.archive import Archive, index_of
from elpack.steps.images.attach import Attacher, attestations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from elpack.fetch.registry import Repository
    from elpack.images.oci import Descriptor, OciDigest
    from elpack.sigstore import SigningKey
    from elpack.steps.images.archive import Image

_STEP = 4 << 20
"""Bytes after which progress is told again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An image of all its platforms under one tag.

    archives: OCI image layouts as tar files, one for each architecture, whose bytes stay as they are: the index of one
    archive is pushed as it is, that of several is made of theirs. predicates: what is attested, by platform
    (``linux/amd64``), then by predicate type (`sigstore.CYCLONEDX`, `SLSA`), values that JSON can say.
    """

    archives: Sequence[Path]
    tag: str
    predicates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What stands in the registry now, read back and verified.

    reference: repository and tag. digest: of the index. platforms: digest of each platform's manifest. sent: bytes of
    blobs that were not there before. fresh: whether the tag was not there before. fingerprint: of the key that signed.
    """

    reference: str
    digest: OciDigest
    platforms: Mapping[str, OciDigest]
    sent: int
    fresh: bool
    fingerprint: str

    @property
    def pinned(self) -> str:
        """What users name to get exactly this: the repository with the digest."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a push would do. fresh: the tag is not there yet; missing and size: number and bytes of blobs to send."""

    reference: str
    digest: OciDigest
    fresh: bool
    missing: int
    size: int


def push(offer: Offer, repository: Repository, key: SigningKey, say: Callable[[str], None] = lambda _: None) -> Pushed:
    """Push an image. Doing it again sends only what is missing, signatures and attestations included.

    Raises `RegistryError`, also when the tag names something else there: a tag is never moved. Raises `ImageError` when
    an archive is not what it should be. Whatever breaks off, no tag names what is incomplete.
    """
    image = _Whole(offer)
    reference = f"{repository.name}:{offer.tag}"
    fresh = _is_fresh(image, offer.tag, repository)
    sent = _send_blobs(image, repository, say)
    for digest, (content, media_type) in image.manifests.items():
        if repository.digest(digest) is None:
            repository.put_manifest(digest, content, media_type)
    say("sign")
    attacher = Attacher(repository, key)
    attested = attestations(image.platforms, image.digest, repository.name, offer.predicates, key)
    for digest in image.digests:
        attacher.sign(digest, reference)
    for descriptor in image.descriptors:
        attacher.attest(descriptor, [one for one in attested if descriptor["digest"] in one.subjects])
    # the tag may have come meanwhile; a registry has no way to say: only if there is none
    if _is_fresh(image, offer.tag, repository):
        repository.put_manifest(offer.tag, image.index, INDEX)
    say("read it back")
    _read_back(image, offer.tag, repository)
    for digest in image.digests:
        attacher.check_signed(digest, reference)
        attacher.check_attested(digest, [one for one in attested if digest in one.subjects])
    return Pushed(reference, image.digest, image.platforms, sent, fresh, key.public.fingerprint)


def outlook(offer: Offer, repository: Repository) -> Outlook:
    """Return what a push would do, which is asked of the registry without putting anything there."""
    image = _Whole(offer)
    fresh = _is_fresh(image, offer.tag, repository)
    missing = [blob for blob, _ in image.blobs.values() if not repository.has_blob(blob.digest, blob.size)]
    size = sum(blob.size for blob in missing)
    return Outlook(f"{repository.name}:{offer.tag}", image.digest, fresh, len(missing), size)


class _Whole:
    """An offer that was read: index, images by platform, and blobs with the archives in which they are."""

    def __init__(self, offer: Offer) -> None:
        archives = [Archive(path) for path in offer.archives]
        self.index = index_of(archives)
        self.digest = digest_of(self.index)
        self.images: dict[str, Image] = {}
        self.blobs: dict[OciDigest, tuple[Descriptor, Archive]] = {}
        for archive in archives:
            for image in archive.images:
                self.images[str(image.descriptor.platform)] = image
                self.blobs |= {blob.digest: (blob, archive) for blob in image.blobs}

    @property
    def platforms(self) -> dict[str, OciDigest]:
        return {platform: image.descriptor.digest for platform, image in self.images.items()}

    @property
    def digests(self) -> tuple[OciDigest, ...]:
        """All that is signed: a policy looks at the platform's manifest, other tools at the index."""
        return (self.digest, *self.platforms.values())

    @property
    def manifests(self) -> dict[OciDigest, tuple[bytes, str]]:
        """What is put there by digest, with its media type: what is named before what names it."""
        parts = {one.descriptor.digest: (one.manifest, MANIFEST) for one in self.images.values()}
        return {**parts, self.digest: (self.index, INDEX)}

    @property
    def descriptors(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(
            {"mediaType": media_type, "digest": digest, "size": len(content)}
            for digest, (content, media_type) in self.manifests.items()
        )


def _is_fresh(image: _Whole, tag: str, repository: Repository) -> bool:
    """Tell whether the tag is not there yet. Raises `RegistryError` when it names something else."""
    there = repository.digest(tag)
    if there not in {None, image.digest}:
        raise RegistryError(
            Problem(
                f"the tag names {there} there, and {image.digest} here",
                f"{repository.name}:{tag}",
                "an image was pushed under this name before, and a tag is never moved: who pulled it relies on that",
                "raise [release] revision, and build again",
            )
        )
    return there is None


def _send_blobs(image: _Whole, repository: Repository, say: Callable[[str], None]) -> int:
    sent = 0
    for number, (blob, archive) in enumerate(image.blobs.values(), 1):
        about = f"blob {number} of {len(image.blobs)}"
        last = 0

        def told(count: int, about: str = about, size: int = blob.size) -> None:
            nonlocal last
            if count - last >= _STEP:
                last = count
                say(f"{about}: {count >> 20} of {size >> 20} MB")

        say(about)
        new = repository.put_blob(blob.digest, blob.size, partial(archive.pieces, blob), told)
        sent += blob.size if new else 0
    return sent


def _read_back(image: _Whole, tag: str, repository: Repository) -> None:
    """Look at all that should be there. Raises `RegistryError` with all that is not."""
    problems = []
    wanted = [(str(digest), content) for digest, (content, _) in image.manifests.items()]
    for reference, content in ((tag, image.index), *wanted):
        found = repository.manifest(reference)
        if found is None or found[0] != content:
            problems.append(Problem("it is not there as it was pushed", f"{repository.name}: {reference}"))
    for blob, _ in image.blobs.values():
        if not repository.has_blob(blob.digest, blob.size):
            problems.append(Problem("the blob is not there any more", f"{repository.name}: {blob.digest}"))
    if problems:
        raise RegistryError(*problems)

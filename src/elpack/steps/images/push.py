"""Pushes an image that lies in dist/: blobs, manifests, signatures and attestations, and its tag last of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from elpack.fetch.registry import Repository
    from elpack.images.oci import OciDigest
    from elpack.sigstore import SigningKey


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


def push(
    archives: Sequence[Path],
    tag: str,
    repository: Repository,
    key: SigningKey,
    predicates: Mapping[str, Mapping[str, Any]],
    say: Callable[[str], None] = lambda _: None,
) -> Pushed:
    """Push one image of all its platforms. Doing it again sends only what is missing.

    archives: OCI image layouts as tar files, one for each architecture, whose bytes stay as they are; the index of one
    archive is pushed as it is, that of several is made of theirs. predicates: by platform (``linux/amd64``), then by
    predicate type, values that JSON can say.

    Raises `RegistryError`, also when the tag names something else there: a tag is never moved. Raises `ImageError` when
    an archive is not what it should be. Whatever breaks off, no tag names what is incomplete.
    """
    raise NotImplementedError

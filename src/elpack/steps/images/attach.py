"""Puts signatures and attestations beside an image in its repository, and reads them back as a customer would."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from elpack.dsse import check_envelope
from elpack.errors import Problem, RegistryError, VerifyError
from elpack.images.oci import INDEX, digest_of
from elpack.sigstore import (
    Artefact,
    Attached,
    attached,
    attestation,
    attestation_tag,
    check_payload,
    read_attached,
    referrer,
    referrers_index,
    referrers_tag,
    signature,
    signature_tag,
    simple_signing,
    statement_about,
)
from elpack.sigstore.attached import LARGEST_LAYER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elpack.fetch.registry import Repository
    from elpack.images.oci import OciDigest
    from elpack.sigstore import SigningKey

_LARGEST_PAYLOAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Attestation:
    """A signed statement about images, as a layer and what is in it. subjects: digests of index and manifest."""

    subjects: tuple[OciDigest, ...]
    layer: Attached
    envelope: bytes


def attestations(
    platforms: Mapping[str, OciDigest],
    index: OciDigest,
    name: str,
    predicates: Mapping[str, Mapping[str, Any]],
    key: SigningKey,
) -> list[Attestation]:
    """Return one statement for each platform and predicate, which holds for the platform's manifest and the index.

    name: of the repository. Raises `RegistryError` when something is said of a platform that there is not.
    """
    if unknown := predicates.keys() - platforms.keys():
        what = f"there is no image for {', '.join(sorted(unknown))} of which something is attested"
        raise RegistryError(Problem(what, name))
    found = []
    for platform, of_platform in sorted(predicates.items()):
        subjects = (index, platforms[platform])
        for predicate_type, predicate in sorted(of_platform.items()):
            statement = statement_about(name, subjects, predicate_type, predicate)
            found.append(Attestation(subjects, *attestation(statement, predicate_type, key)))
    return found


@dataclass(frozen=True, slots=True)
class Attacher:
    """Who attaches to what. What others attached stays."""

    repository: Repository
    key: SigningKey

    def sign(self, digest: OciDigest, reference: str) -> None:
        """Attach a signature that says: `reference` is this digest; nothing if there is one of this key."""
        layers = self._layers(signature_tag(digest))
        if not any(self._says(layer, digest, reference) for layer in layers):
            layer, payload = signature(simple_signing(reference, digest), self.key)
            self._put(signature_tag(digest), attached((*layers, layer), [payload]))

    def attest(self, descriptor: Mapping[str, Any], attested: Sequence[Attestation]) -> None:
        """Attach attestations to a manifest by the tag that cosign reads, and as its referrers."""
        digest = descriptor["digest"]
        layers = self._layers(attestation_tag(digest))
        known = {layer.digest for layer in layers}
        if new := [one for one in attested if one.layer.digest not in known]:
            together = attached((*layers, *(one.layer for one in new)), [one.envelope for one in new])
            self._put(attestation_tag(digest), together)
        referrers = [referrer(descriptor, one.layer, one.envelope) for one in attested]
        for one in referrers:
            if self.repository.digest(one.digest) is None:
                self._put(one.digest, one)
        if referrers and not self.repository.keeps_referrers(digest):
            self._list_referrers(digest, referrers)

    def check_signed(self, digest: OciDigest, reference: str) -> None:
        """Raise `RegistryError` unless a signature by the key says that `reference` is this digest."""
        if not any(self._says(layer, digest, reference) for layer in self._layers(signature_tag(digest))):
            raise RegistryError(Problem("no signature of our key is there", f"{self.repository.name}@{digest}"))

    def check_attested(self, digest: OciDigest, attested: Sequence[Attestation]) -> None:
        """Raise `RegistryError` unless all these attestations are there, and the key's signatures of them are good."""
        where, own = f"{self.repository.name}@{digest}", self.key.public
        there = {layer.digest: layer for layer in self._layers(attestation_tag(digest))} if attested else {}
        for one in attested:
            if one.layer.digest not in there:
                raise RegistryError(Problem(f"the attestation {one.layer.predicate_type} is not there", where))
            text = self.repository.blob(one.layer.digest, LARGEST_LAYER).decode()
            try:
                check_envelope(
                    text, lambda data, made: own.fingerprint if own.verifies(data, made) else None, {own.fingerprint}
                )
            except VerifyError as error:
                raise RegistryError(*error.problems) from error

    def _says(self, layer: Attached, digest: OciDigest, reference: str) -> bool:
        """Tell whether a signature is the key's, and says that `reference` is the digest."""
        if layer.size > _LARGEST_PAYLOAD or not layer.signature:
            return False
        if not self.repository.has_blob(layer.digest, layer.size):
            return False
        payload = self.repository.blob(layer.digest, _LARGEST_PAYLOAD)
        return not check_payload(payload, reference, digest) and self.key.public.verifies(payload, layer.signature)

    def _layers(self, tag: str) -> tuple[Attached, ...]:
        found = self.repository.manifest(tag)
        try:
            return read_attached(found[0]) if found else ()
        except (ValueError, KeyError) as error:
            what, fix = "something else lies where signatures belong", "remove that tag from the registry"
            raise RegistryError(Problem(what, f"{self.repository.name}:{tag}", str(error), fix)) from error

    def _list_referrers(self, digest: OciDigest, referrers: Sequence[Artefact]) -> None:
        tag = referrers_tag(digest)
        existing = self.repository.manifest(tag)
        try:
            listed = referrers_index(existing[0] if existing else None, referrers)
        except ValueError as error:
            what, fix = "something else lies where referrers are listed", "remove that tag from the registry"
            raise RegistryError(Problem(what, f"{self.repository.name}:{tag}", str(error), fix)) from error
        if existing is None or existing[0] != listed:
            self.repository.put_manifest(tag, listed, INDEX)

    def _put(self, reference: str, artefact: Artefact) -> None:
        for content in artefact.blobs:
            self.repository.put_blob(digest_of(content), len(content), partial(_whole, content))
        self.repository.put_manifest(reference, artefact.manifest, artefact.media_type)


def _whole(content: bytes) -> tuple[bytes]:
    return (content,)

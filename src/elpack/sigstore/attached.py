"""What lies beside an image in its repository: signatures and attestations by tags, attestations as referrers too."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.dsse import IN_TOTO, Signed, seal
from elpack.images.oci import CONFIG, INDEX, MANIFEST, OciDigest, digest_of
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elpack.sigstore.keys import SigningKey

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_PREDICATE = "predicateType"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST = 64
"""Layers of one tag that are looked at: each is one signature or attestation."""
LARGEST_LAYER = 128 << 20
"""Bytes of an attestation; the envelope of a release's bill of materials has some."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A manifest and the blobs that it names: what is pushed, or put into an image layout."""

    manifest: bytes
    blobs: tuple[bytes, ...]
    media_type: str = MANIFEST

    @property
    def digest(self) -> OciDigest:
        """Digest of the manifest."""
        return digest_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Attached:
    """One layer of what is attached by a tag, as its manifest says: nothing of it can be believed yet."""

    media_type: str
    digest: OciDigest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature(self) -> bytes:
        """The signature that stands beside a simple signing payload, empty where there is none."""
        try:
            return base64.b64decode(self.annotations.get(_SIGNATURE, ""), validate=True)
        except binascii.Error:
            return b""

    @property
    def predicate_type(self) -> str:
        """What an attestation says that it is."""
        return self.annotations.get(_PREDICATE, "")


def signature_tag(digest: OciDigest) -> str:
    """Return the tag where podman and cosign look for signatures of an image."""
    return f"{referrers_tag(digest)}.sig"


def attestation_tag(digest: OciDigest) -> str:
    """Return the tag where cosign looks for attestations of an image."""
    return f"{referrers_tag(digest)}.att"


def referrers_tag(digest: OciDigest) -> str:
    """Return the tag with the list of referrers, for registries that keep none (distribution specification 1.1)."""
    return digest.replace(":", "-")


def signature(payload: bytes, key: SigningKey) -> tuple[Attached, bytes]:
    """Return the layer of a signed payload, and what is in it."""
    signed = base64.b64encode(key.sign(payload)).decode()
    return Attached(SIMPLE_SIGNING, digest_of(payload), len(payload), {_SIGNATURE: signed}), payload


def attestation(statement: bytes, predicate_type: str, key: SigningKey) -> tuple[Attached, bytes]:
    """Return the layer of a statement in its signed envelope, and what is in it."""
    envelope = seal(IN_TOTO, statement, lambda data: Signed("", key.sign(data))).encode()
    annotations = {_SIGNATURE: "", _PREDICATE: predicate_type}
    return Attached(DSSE, digest_of(envelope), len(envelope), annotations), envelope


def attached(layers: Sequence[Attached], contents: Sequence[bytes]) -> Artefact:
    """Return what a .sig or .att tag names: an image by its form. contents: those that are not in the registry yet."""
    diff_ids = [layer.digest for layer in layers]
    config = _json(
        {
            "architecture": "",
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "config": {},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, config),
        "layers": [_layer(layer) for layer in layers],
    }
    return Artefact(_json(manifest), (config, *contents))


def referrer(subject: Mapping[str, Any], layer: Attached, content: bytes) -> Artefact:
    """Return the manifest by which an attestation refers to an image. subject: descriptor of the image's manifest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": layer.media_type,
        "config": {**_descriptor(_EMPTY, b"{}"), "data": "e30="},
        "layers": [_layer(layer)],
        "subject": {name: subject[name] for name in ("mediaType", "digest", "size")},
        "annotations": {_PREDICATE: layer.predicate_type},
    }
    return Artefact(_json(manifest), (b"{}", content))


def referrers_index(existing: bytes | None, referrers: Sequence[Artefact]) -> bytes:
    """Return the list of referrers with more of them. existing: the list as it is there. Raises ValueError for none."""
    entries: list[Mapping[str, Any]] = []
    if existing is not None:
        entries = _checked_list(existing, "manifests")
    known = {entry["digest"] for entry in entries}
    for one in referrers:
        manifest = json.loads(one.manifest)
        about = {"artifactType": manifest["artifactType"], "annotations": manifest["annotations"]}
        if one.digest not in known:
            entries.append({**_descriptor(MANIFEST, one.manifest), **about})
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def read_attached(manifest: bytes) -> tuple[Attached, ...]:
    """Return the layers of what is attached by a tag. Raises ValueError when the manifest is none of the form."""
    return tuple(
        Attached(
            _text(entry.get("mediaType")),
            OciDigest(entry["digest"]),
            entry["size"],
            {_text(name): _text(value) for name, value in _table(entry.get("annotations", {})).items()},
        )
        for entry in _checked_list(manifest, "layers")
    )


def _checked_list(document: bytes, name: str) -> list[Mapping[str, Any]]:
    entries = _table(json_value(document)).get(name)
    if not isinstance(entries, list) or len(entries) > _MOST:
        raise ValueError(f"{name} is no list of at most {_MOST}")
    for entry in map(_table, entries):
        digest, size = entry.get("digest"), entry.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ValueError(f"{name} holds what has no digest")
        if type(size) is not int or not 0 <= size <= LARGEST_LAYER:
            raise ValueError(f"{name} holds what has no size, or more than {LARGEST_LAYER} bytes")
    return entries


def _layer(layer: Attached) -> dict[str, Any]:
    about = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
    return {**about, "annotations": dict(layer.annotations)} if layer.annotations else about


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")  # noqa: TRY004
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, found {type(value).__name__}")  # noqa: TRY004
    return value

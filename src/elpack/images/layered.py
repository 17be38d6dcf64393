"""An image of layers as they are, and of nothing else: what engines make of tars has other times than theirs."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elpack.images.oci import OciDigest, platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elpack.images.model import Layer

_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Layered:
    """The documents of an image of layers: the manifest's digest, and all by their path in an image layout."""

    digest: OciDigest
    documents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Below:
    """The image that layers are set upon: its settings, the digests of its layers, and its history."""

    config: Mapping[str, Any]
    layers: tuple[OciDigest, ...]
    history: tuple[Mapping[str, Any], ...]


_NOTHING = Below({}, (), ())


def layered(  # noqa: PLR0917 - what an image of layers is
    layers: Sequence[Layer], name: str, platform: str, when: int, labels: Mapping[str, str], below: Below = _NOTHING
) -> Layered:
    """Return the documents of an image with these layers, as they are, lowest first.

    name: what whoever loads it calls it; platform: ``linux/amd64``; when: its time in seconds since 1970.
    """
    where = platform_of(platform)
    created = dt.datetime.fromtimestamp(when, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    blobs = [(f"{_OCI}.layer.v1.tar", f"sha256:{layer.sha256}", layer.size) for layer in layers]
    settings: dict[str, Any] = {**below.config}
    if labels:
        settings["Labels"] = dict(sorted(labels.items()))
    config = _json(
        {
            "created": created,
            "architecture": where.architecture,
            "os": where.os,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [*below.layers, *(digest for _, digest, _ in blobs)]},
            "history": [
                *below.history,
                *({"created": created, "created_by": f"elpack: layer {layer.name}"} for layer in layers),
            ],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor(f"{_OCI}.config.v1+json", _digest(config), len(config)),
            # an engine that has a layer does not ask for its size
            "layers": [
                *(_descriptor(f"{_OCI}.layer.v1.tar", digest, 0) for digest in below.layers),
                *(_descriptor(*blob) for blob in blobs),
            ],
        }
    )
    index = _json(
        {
            "schemaVersion": 2,
            "manifests": [
                _descriptor(f"{_OCI}.manifest.v1+json", _digest(manifest), len(manifest))
                | {"annotations": {"org.opencontainers.image.ref.name": name}}
            ],
        }
    )
    documents = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    return Layered(_digest(manifest), documents | {blob_path(_digest(text)): text for text in (config, manifest)})


def blob_path(digest: str) -> str:
    """Return where an image layout has a blob."""
    return f"blobs/{digest.replace(':', '/')}"


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(text: bytes) -> OciDigest:
    return OciDigest(f"sha256:{hashlib.sha256(text).hexdigest()}")

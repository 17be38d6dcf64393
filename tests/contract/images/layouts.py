"""Small OCI archives made up for tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_archive(
    path: Path,
    *,
    arch: str = "amd64",
    layers: tuple[bytes, ...] = (b"one", b"two"),
    names: Mapping[int, str] | None = None,
) -> str:
    """Write an archive whose layers hold a file each, with these contents; return the digest of its index.

    names: of those files, by the number of their layer; the others have names of no meaning.
    """
    blobs: dict[str, bytes] = {}

    def descriptor(kind: str, content: bytes) -> dict[str, Any]:
        blobs[digest_of(content)] = content
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    tars = [_tar({(names or {}).get(number, f"file{number}"): content}) for number, content in enumerate(layers)]
    config = {
        "architecture": arch,
        "os": "linux",
        "config": {"Cmd": ["/file0"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, _json(config)),
        "layers": [descriptor(LAYER, gzip.compress(tar, 1, mtime=0)) for tar in tars],
    }
    entry = {**descriptor(MANIFEST, _json(manifest)), "platform": {"os": "linux", "architecture": arch}}
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    top = _json({"schemaVersion": 2, "manifests": [descriptor(INDEX, index)]})
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": top}
    files |= {f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()}
    path.write_bytes(_tar(files))
    return digest_of(index)


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""Signatures of images as podman, skopeo and cosign find and judge them: keys, payloads, what lies beside an image.

Values in, values out: nothing here reads a file or asks a registry. docs/reference/image-signatures.md tells the forms.
"""

from __future__ import annotations

from elpack.sigstore.attached import (
    Artefact,
    Attached,
    attached,
    attestation,
    attestation_tag,
    read_attached,
    referrer,
    referrers_index,
    referrers_tag,
    signature,
    signature_tag,
)
from elpack.sigstore.keys import SigningKey, VerifyingKey, is_encrypted, new_key, read_signing_key, read_verifying_key
from elpack.sigstore.payload import CYCLONEDX, SLSA, check_payload, simple_signing, statement_about

__all__ = [
    "CYCLONEDX",
    "SLSA",
    "Artefact",
    "Attached",
    "SigningKey",
    "VerifyingKey",
    "attached",
    "attestation",
    "attestation_tag",
    "check_payload",
    "is_encrypted",
    "new_key",
    "read_attached",
    "read_signing_key",
    "read_verifying_key",
    "referrer",
    "referrers_index",
    "referrers_tag",
    "signature",
    "signature_tag",
    "simple_signing",
    "statement_about",
]

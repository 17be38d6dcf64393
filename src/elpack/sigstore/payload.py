"""What is signed: simple signing payloads, which name an image, and in-toto statements about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.images.oci import OciDigest

CYCLONEDX = "https://cyclonedx.org/bom"
SLSA = "https://slsa.dev/provenance/v1"
_STATEMENT = "https://in-toto.io/Statement/v0.1"
"""The version that cosign's verification reads; v1 differs by its name alone."""
_TYPE = "cosign container image signature"


def simple_signing(reference: str, digest: OciDigest) -> bytes:
    """Return the payload that says: this digest is what `reference`, a repository with its tag, names.

    By podman's default identity (matchRepoDigestOrExact) it serves a pull by this tag and one by digest, by
    matchRepository any tag; a payload without tag would be refused for a pull by tag.
    """
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": _TYPE,
    }
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def check_payload(payload: bytes, reference: str, digest: OciDigest) -> str:
    """Return why a payload does not say that `reference` is `digest`, "" if it does."""
    try:
        critical = json_value(payload)["critical"]
        said = critical["type"], critical["identity"]["docker-reference"], critical["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError) as error:
        return f"it is no simple signing payload ({type(error).__name__})"
    if said == (_TYPE, reference, digest):
        return ""
    return f"it speaks of {said[1]!r:.200} with {said[2]!r:.100}"


def statement_about(name: str, digests: Iterable[OciDigest], predicate_type: str, predicate: Any) -> bytes:
    """Return the in-toto statement that `predicate` holds for images of a repository; equal input gives equal bytes."""
    statement = {
        "_type": _STATEMENT,
        "predicateType": predicate_type,
        "subject": [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for digest in digests],
        "predicate": predicate,
    }
    return json.dumps(statement, separators=(",", ":"), sort_keys=True).encode()

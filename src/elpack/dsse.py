"""DSSE envelopes (Dead Simple Signing Envelope 1.0): a payload, its type, and signatures over both."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem, VerifyError
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

IN_TOTO = "application/vnd.in-toto+json"
_LARGEST = 64 << 20
"""Characters of an envelope; one of a release with a thousand packages has one million."""
_MOST = 16
"""Signatures of one envelope that are looked at."""


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature: bytes as the tool made them, and the hint by which key."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope holds. Nothing of it can be believed before `check_envelope` has passed."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signed, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: type and payload, each with its length in bytes (Pre-Authentication Encoding)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, sign: Callable[[bytes], Signed]) -> str:
    """Return an envelope as JSON, signed by what `sign` makes of the encoding."""
    signed = sign(pae(payload_type, payload))
    document = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signed.keyid, "sig": base64.b64encode(signed.signature).decode()}],
    }
    return json.dumps(document, indent=2) + "\n"


def read_envelope(text: str, where: str = "") -> Envelope:
    """Return what an envelope holds, nothing believed yet. Raises `VerifyError` when it is none."""
    if len(text) > _LARGEST:
        raise VerifyError(Problem("it is no DSSE envelope", where, f"it is longer than {_LARGEST} characters"))
    try:
        document = json_value(text)
        signatures = tuple(
            Signed(str(one.get("keyid", "")), _decoded(one["sig"])) for one in document["signatures"][:_MOST]
        )
        return Envelope(_text(document["payloadType"]), _decoded(document["payload"]), signatures)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(Problem("it is no DSSE envelope", where, f"{type(error).__name__}: {error}"[:200])) from error


def check_envelope(
    text: str, verify: Callable[[bytes, bytes], str | None], trusted: Collection[str], *, where: str = ""
) -> bytes:
    """Return the payload, an in-toto statement, if somebody trusted signed it.

    verify: returns the fingerprint of the key that made a signature of the data, None where none did; the envelope's
    own keyid is not asked. Raises `VerifyError` with what is wrong.
    """
    envelope = read_envelope(text, where)
    if envelope.payload_type != IN_TOTO:
        raise VerifyError(Problem(f"the payload is of type {envelope.payload_type!a}, not {IN_TOTO}", where))
    signed = pae(envelope.payload_type, envelope.payload)
    found = [verify(signed, one.signature) for one in envelope.signatures]
    if any(one is not None and one in trusted for one in found):
        return envelope.payload
    others = sorted({one for one in found if one is not None})
    why = f"signed by {', '.join(others)}" if others else "no signature in it is good" if found else "it has none"
    raise VerifyError(Problem("nobody who is trusted signed it", where, why, fix="take it from its publisher again"))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


def _decoded(value: Any) -> bytes:
    """Return base64, in its standard or URL-safe alphabet, as DSSE asks of verifiers."""
    try:
        return base64.b64decode(_text(value).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from error

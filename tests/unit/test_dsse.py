from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.dsse import Envelope as TheirEnvelope

from elpack.dsse import IN_TOTO, Signed, check_envelope, pae, seal
from elpack.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, STRANGER = "A" * 40, "B" * 40
PAYLOAD = b'{"_type": "x"}'


def toy(by: str) -> Callable[[bytes], Signed]:
    """Return a signer whose signature is the signed bytes themselves, after its name."""
    return lambda data: Signed(by, by.encode() + data)


def verify(data: bytes, signature: bytes) -> str | None:
    return signature[:40].decode() if signature[40:] == data else None


def sealed(by: str = OURS, content: bytes = PAYLOAD, **changes: Any) -> str:
    return json.dumps(json.loads(seal(IN_TOTO, content, toy(by))) | changes)


def refused(text: str) -> str:
    with pytest.raises(VerifyError) as caught:
        check_envelope(text, verify, {OURS})
    return str(caught.value)


def test_the_encoding_is_that_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected
    assert pae("ä", "ü".encode()) == b"DSSEv1 2 \xc3\xa4 2 \xc3\xbc", "lengths are bytes"


def test_another_implementation_reads_the_same() -> None:
    theirs = TheirEnvelope.from_dict(json.loads(sealed()))
    assert (theirs.payload, theirs.payload_type) == (PAYLOAD, IN_TOTO)
    assert theirs.pae() == pae(IN_TOTO, PAYLOAD)
    assert list(theirs.signatures) == [OURS]


def test_what_a_trusted_key_signed_is_given_back() -> None:
    assert check_envelope(sealed(), verify, {OURS}) == PAYLOAD


def test_one_trusted_signature_among_others_is_enough() -> None:
    both = json.loads(sealed(STRANGER))["signatures"] + json.loads(sealed())["signatures"]
    assert check_envelope(sealed(signatures=both), verify, {OURS}) == PAYLOAD


def test_base64_for_urls_is_read_as_well() -> None:
    content = b"\xfb\xff\xfe?>"
    url = base64.urlsafe_b64encode(content).decode()
    assert url != base64.b64encode(content).decode()
    assert check_envelope(sealed(content=content, payload=url), verify, {OURS}) == content


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"payload": base64.b64encode(b"{}").decode()}, "no signature in it is good"),
        ({"payloadType": "application/json"}, "of type 'application/json'"),
        ({"signatures": []}, "it has none"),
        ({"signatures": [{"sig": "AAAA"}] * 3}, "no signature in it is good"),
        ({"signatures": None}, "no DSSE envelope"),
        ({"signatures": [7]}, "no DSSE envelope"),
        ({"payload": 7}, "no DSSE envelope"),
        ({"payload": "%%%"}, "no DSSE envelope"),
    ],
)
def test_what_was_changed_is_refused(changes: dict[str, Any], why: str) -> None:
    assert why in refused(sealed(**changes))


def test_a_stranger_s_signature_is_refused_by_name_even_if_it_claims_to_be_ours() -> None:
    (one,) = json.loads(sealed(STRANGER))["signatures"]
    assert f"signed by {STRANGER}" in refused(sealed(STRANGER, signatures=[one | {"keyid": OURS}]))


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, "null", '{"payloadType": "x"}'])
def test_what_is_no_envelope_is_refused(text: str) -> None:
    assert "no DSSE envelope" in refused(text)

"""Keys and signatures are judged by their packets; what is malformed is refused, not guessed."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elpack.openpgp import PublicKey, Signature, dearmour, read_packets, read_signature


def subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2) + body


def signature(*, version: int = 4, algorithm: int = 1, hash_: int = 8, kind: int = 0) -> bytes:
    if version == 3:
        return packet(2, bytes([3, 5, kind]) + (7).to_bytes(4) + b"\xaa" * 8 + bytes([algorithm, hash_]) + b"\0" * 4)
    issuer = subpacket(33, b"\x04" + b"\xab" * 20) + subpacket(2, (7).to_bytes(4)) + subpacket(3, (86400).to_bytes(4))
    return packet(2, bytes([version, kind, algorithm, hash_]) + len(issuer).to_bytes(2) + issuer + b"\0\0" + b"\0" * 4)


def test_a_signature_tells_who_made_it_how_and_until_when() -> None:
    found = read_signature(signature())
    assert found == Signature(4, 0, 1, 8, "AB" * 20, 7, 86400)
    assert (found.algorithm_name, found.hash_name) == ("RSA", "SHA-256")


def test_an_old_signature_is_told_by_its_version() -> None:
    found = read_signature(signature(version=3, hash_=2))
    assert (found.version, found.hash_name, found.issuer) == (3, "SHA-1", "AA" * 8)


def test_a_key_has_its_fingerprint_and_size() -> None:
    body = b"\x04" + (7).to_bytes(4) + b"\x01" + (4096).to_bytes(2) + b"\xff" * 512 + (17).to_bytes(2) + b"\1\0\1"
    (found,) = read_packets(packet(6, body))
    assert isinstance(found, PublicKey)
    assert (found.version, found.algorithm, found.bits, found.primary) == (4, 1, 4096, True)
    assert len(found.fingerprint) == 40


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", signature() + signature(), signature()[:-1], packet(6, b"\x03"), b"\xc2\xff\0\0", b"\xa3\x01\x02"],
    ids=["nothing", "no packet", "two", "cut short", "a key", "no length", "compressed"],
)
def test_what_is_not_one_signature_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="OpenPGP"):
        read_signature(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_packets, read_signature):
        with suppress(ValueError):  # any other error fails the test
            read(data)


def test_signatures_within_signatures_do_not_exhaust_the_stack() -> None:
    """They lie where no signature covers them: anybody can put them into a good one."""
    body = bytes([4, 0, 1, 8, 0, 0, 0, 0])
    for _ in range(4000):
        part = bytes([32]) + body
        area = b"\xff" + len(part).to_bytes(4) + part
        if len(area) > 65_535:
            break
        body = bytes([4, 0, 1, 8, 0, 0]) + len(area).to_bytes(2) + area
    (inner,) = read_signature(packet(2, body)).embedded
    assert inner.embedded == ()


def test_armour() -> None:
    text = base64.b64encode(signature()).decode()
    block = f"-----BEGIN PGP SIGNATURE-----\nVersion: x\n\n{text}\n=abcd\n-----END PGP SIGNATURE-----\n"
    assert dearmour(block) == signature()
    for wrong in ("", text, block.replace(text, "?")):
        with pytest.raises(ValueError, match=r"armoured|base64"):
            dearmour(wrong)

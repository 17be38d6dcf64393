"""OpenPGP packets, as far as keys and signatures are judged by them: RFC 4880, sections 4 and 5. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Iterator

Fingerprint = NewType("Fingerprint", str)
"""Of a v4 key: 40 hexadecimal digits, upper case."""

RSA = 1
HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224"}
STRONG_HASHES = frozenset({8, 9, 10})
ALGORITHMS = {1: "RSA", 2: "RSA", 3: "RSA", 16: "Elgamal", 17: "DSA", 18: "ECDH", 19: "ECDSA", 22: "EdDSA"}

_SIGNATURE, _KEY, _USER, _SUBKEY = 2, 6, 13, 14
_CREATED, _EXPIRES, _ISSUER, _EMBEDDED, _ISSUER_FINGERPRINT = 2, 3, 16, 32, 33


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key or subkey packet. `fingerprint` is empty for versions but 4, and `bits` are those of the modulus."""

    version: int
    algorithm: int
    bits: int
    fingerprint: Fingerprint
    primary: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature packet. `kind` is 0 for data; 0x10 to 0x13, 0x18, 0x19 and 0x1F are a key's own.

    issuer: fingerprint or, where it does not tell that, key id of who made it. created: seconds since 1970.
    expires: seconds after that, 0 for never.
    """

    version: int
    kind: int
    algorithm: int
    hash: int
    issuer: str
    created: int
    expires: int
    embedded: tuple[Signature, ...] = ()

    @property
    def hash_name(self) -> str:
        """The hash as people call it."""
        return HASHES.get(self.hash, f"hash {self.hash}")

    @property
    def algorithm_name(self) -> str:
        """The public-key algorithm as people call it."""
        return ALGORITHMS.get(self.algorithm, f"algorithm {self.algorithm}")


def read_packets(data: bytes) -> tuple[PublicKey | Signature, ...]:
    """Return the keys and signatures among binary packets, in order. Raises ValueError for what is malformed."""
    found: list[PublicKey | Signature] = []
    try:
        for tag, body in _packets(data):
            if tag == _SIGNATURE:
                found.append(_signature(body))
            elif tag in {_KEY, _SUBKEY}:
                found.append(_public_key(body, primary=tag == _KEY))
    except IndexError as error:
        raise ValueError("an OpenPGP packet ends too early") from error
    return tuple(found)


def read_signature(data: bytes) -> Signature:
    """Return the one signature that the data is. Raises ValueError when it is anything else, or more."""
    try:
        packets = [_signature(body) if tag == _SIGNATURE else None for tag, body in _packets(data)]
    except IndexError as error:
        raise ValueError("an OpenPGP packet ends too early") from error
    if len(packets) != 1 or packets[0] is None:
        raise ValueError(f"expected one OpenPGP signature, found {len(packets)} packets")
    return packets[0]


def dearmour(text: str) -> bytes:
    """Return what one ASCII-armoured block holds. Raises ValueError when there is none."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines or not lines[0].startswith("-----BEGIN PGP ") or not lines[-1].startswith("-----END PGP "):
        raise ValueError("not an ASCII-armoured OpenPGP block")
    body = lines[1:-1]
    if "" in body:
        body = body[body.index("") + 1 :]
    try:
        return base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not valid base64: {error}") from error


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        head = data[position]
        if not head & 0x80:
            raise ValueError("not an OpenPGP packet")
        if head & 0x40:
            tag = head & 0x3F
            length, position = _new_length(data, position + 1)
        else:
            tag, size = (head >> 2) & 0x0F, 1 << (head & 3)
            if size > 4:  # noqa: PLR2004 - 1, 2 or 4 octets
                raise ValueError("an OpenPGP packet of indeterminate length")
            length, position = int.from_bytes(data[position + 1 : position + 1 + size]), position + 1 + size
        body = data[position : position + length]
        if len(body) < length:
            raise ValueError("an OpenPGP packet ends too early")
        yield tag, body
        position += length


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    """Return a length as new packets and subpackets spell it, and where it ends."""
    first = data[position]
    if first < 192:  # noqa: PLR2004 - the bounds are the RFC's
        return first, position + 1
    if first < 224:  # noqa: PLR2004
        return ((first - 192) << 8) + data[position + 1] + 192, position + 2
    if first == 255:  # noqa: PLR2004
        return int.from_bytes(data[position + 1 : position + 5]), position + 5
    raise ValueError("an OpenPGP packet in parts")


def _public_key(body: bytes, *, primary: bool) -> PublicKey:
    version = body[0]
    if version != 4:  # noqa: PLR2004
        return PublicKey(version, 0, 0, Fingerprint(""), primary)
    bits = int.from_bytes(body[6:8]) if ALGORITHMS.get(body[5]) in {"RSA", "DSA", "Elgamal"} else 0
    digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2) + body, usedforsecurity=False).hexdigest()
    return PublicKey(version, body[5], bits, Fingerprint(digest.upper()), primary)


def _signature(body: bytes, *, embedded: bool = False) -> Signature:
    version = body[0]
    if version == 3:  # noqa: PLR2004
        created, issuer = int.from_bytes(body[3:7]), body[7:15].hex().upper()
        return Signature(version, body[2], body[15], body[16], issuer, created, 0)
    if version != 4:  # noqa: PLR2004
        return Signature(version, 0, 0, 0, "", 0, 0)
    end = 6 + int.from_bytes(body[4:6])
    hashed = dict(_subpackets(body[6:end]))
    loose = dict(_subpackets(body[end + 2 : end + 2 + int.from_bytes(body[end : end + 2])]))
    both = {**loose, **hashed}
    issuer = both[_ISSUER_FINGERPRINT][1:].hex() if _ISSUER_FINGERPRINT in both else both.get(_ISSUER, b"").hex()
    # one level: what is deeper is nobody's, and could be made deeper than the stack
    inner = () if embedded else (hashed, loose)
    return Signature(
        version=version,
        kind=body[1],
        algorithm=body[2],
        hash=body[3],
        issuer=issuer.upper(),
        created=int.from_bytes(hashed.get(_CREATED, b"")),
        expires=int.from_bytes(hashed.get(_EXPIRES, b"")),
        embedded=tuple(_signature(part[_EMBEDDED], embedded=True) for part in inner if _EMBEDDED in part),
    )


def _subpackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        length, position = _new_length(data, position)
        yield data[position] & 0x7F, data[position + 1 : position + length]
        position += length

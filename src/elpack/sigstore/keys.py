"""Keys that sign images: ECDSA on P-256, as PKCS#8 or in cosign's own encrypted form."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from elpack.errors import Problem, SigningError
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Callable

_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
"""With a nonce by RFC 6979: one key and one image give one signature, however often it is made."""
_VERIFYING = ec.ECDSA(hashes.SHA256())
_THROWAWAY = b"THROWAWAY"
_NOTE = b"THROWAWAY key of snapshots, made by elpack: never trust what it signs.\n"
_COSIGN = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_LARGEST = 1 << 16
_MEMORY = 256 << 20
"""Bytes that the derivation of a key from a passphrase may take; cosign's takes 64 MB at most."""
_FIX = "docs/how-to/push-and-sign-images.md tells how to make a key that will do"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key. fingerprint: sha256 of its DER form (SubjectPublicKeyInfo), as small hexadecimal digits."""

    public: ec.EllipticCurvePublicKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What people compare."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.public.public_bytes(serialization.Encoding.DER, form)).hexdigest()

    @property
    def pem(self) -> bytes:
        """The file that podman's policy and cosign are given."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.public.public_bytes(serialization.Encoding.PEM, form)

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Tell whether this key signed the data."""
        try:
            self.public.verify(signature, data, _VERIFYING)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. throwaway: it is one of snapshots, so that its signatures mean nothing beyond this machine."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    throwaway: bool = False

    @property
    def public(self) -> VerifyingKey:
        """What others verify by."""
        return VerifyingKey(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data, in DER form: the same each time."""
        return self.private.sign(data, _ALGORITHM)


def new_key() -> bytes:
    """Return a new throwaway key, not encrypted, as the text of its file."""
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return _NOTE + ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.PEM, form, none)


def read_signing_key(pem: bytes, passphrase: Callable[[], bytes], where: str = "") -> SigningKey:
    """Return a private key. passphrase: asked only if the key is encrypted.

    Raises `SigningError` when it is none, of another kind, or the passphrase is wrong.
    """
    label, between = _label(pem, where)
    try:
        if label in _COSIGN:
            key: Any = serialization.load_der_private_key(_opened(between, passphrase()), None)
        else:
            key = serialization.load_pem_private_key(pem, passphrase() if is_encrypted(pem) else None)
    except CryptoError:
        raise _wrong_passphrase(where) from None
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm, MemoryError) as error:
        # one wrong passphrase of some hundred gives what looks decrypted, and is no key
        sealed = isinstance(error, ValueError) and is_encrypted(pem) and label not in _COSIGN
        if sealed or "assword" in str(error):
            raise _wrong_passphrase(where) from None
        # what a library says of a private key may hold parts of it
        raise SigningError(
            Problem("it is no private key that can be read", where, type(error).__name__, _FIX)
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningError(Problem("it is no ECDSA key on P-256", where, "podman and cosign verify those", _FIX))
    return SigningKey(key, throwaway=_THROWAWAY in pem.partition(b"-----BEGIN")[0])


def is_encrypted(pem: bytes) -> bool:
    """Tell whether a private key needs a passphrase."""
    return b"-----BEGIN ENCRYPTED " in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def read_verifying_key(pem: bytes, where: str = "") -> VerifyingKey:
    """Return a public key. Raises `SigningError` when it is none, or of another kind."""
    try:
        key = serialization.load_pem_public_key(pem[:_LARGEST])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningError(Problem("it is no public key", where, type(error).__name__)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningError(Problem("it is no ECDSA key on P-256", where, fix=_FIX))
    return VerifyingKey(key)


def _label(pem: bytes, where: str) -> tuple[bytes, bytes]:
    """Return what a PEM file says that it holds, and the base64 of that."""
    head, _, rest = pem.partition(b"-----BEGIN ")
    label, _, body = rest.partition(b"-----")
    between, end, _ = body.partition(b"-----END ")
    if len(pem) > _LARGEST or len(head) > _LARGEST // 2 or not end or not label.endswith(b"PRIVATE KEY"):
        raise SigningError(Problem("it is no private key in PEM form", where, fix=_FIX))
    return label, between


def _opened(encoded: bytes, passphrase: bytes) -> bytes:
    """Return the DER form of a key in cosign's envelope: scrypt derives what opens NaCl's box."""
    envelope = json_value(base64.b64decode(b"".join(encoded.split()), validate=True))
    kdf, cipher = envelope["kdf"], envelope["cipher"]
    if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
        raise ValueError("another way to encrypt")
    cost, block, parallel = (kdf["params"][name] for name in ("N", "r", "p"))
    if not all(type(number) is int and number > 0 for number in (cost, block, parallel)):
        raise ValueError("no numbers")
    if 128 * cost * block > _MEMORY or parallel > 8 or block > 64:  # noqa: PLR2004
        raise ValueError("deriving its key would take too much")
    salt, nonce, sealed = (
        base64.b64decode(text, validate=True) for text in (kdf["salt"], cipher["nonce"], envelope["ciphertext"])
    )
    key = hashlib.scrypt(
        passphrase, salt=salt, n=cost, r=block, p=parallel, dklen=SecretBox.KEY_SIZE, maxmem=_MEMORY + (1 << 20)
    )
    return bytes(SecretBox(key).decrypt(sealed, nonce))


def _wrong_passphrase(where: str) -> SigningError:
    why = "it was changed, or COSIGN_PASSWORD and --passphrase-file are another key's, or the key's file is damaged"
    return SigningError(Problem("the passphrase does not open the key", where, why, "run it again with the right one"))

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from nacl.secret import SecretBox

from elpack.dsse import read_envelope
from elpack.errors import SigningError
from elpack.images.oci import OciDigest
from elpack.sigstore import (
    SLSA,
    attached,
    attestation,
    attestation_tag,
    check_payload,
    is_encrypted,
    new_key,
    read_attached,
    read_signing_key,
    read_verifying_key,
    referrer,
    referrers_index,
    referrers_tag,
    signature,
    signature_tag,
    simple_signing,
    statement_about,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

DIGEST = OciDigest(f"sha256:{'ab' * 32}")
REFERENCE = "registry.example.org/shop/app:1.0-1.el9-uv"


def never() -> bytes:
    raise AssertionError("nobody asked for a passphrase")


def pkcs8(key: PrivateKeyTypes, passphrase: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def cosign_key(key: ec.EllipticCurvePrivateKey, passphrase: bytes, **params: Any) -> bytes:
    """Return a key as cosign writes it."""
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    cost = {"N": 1 << 10, "r": 8, "p": 1, **params}
    derived = hashlib.scrypt(passphrase, salt=b"salt" * 8, n=1 << 10, r=8, p=1, dklen=32)
    envelope = {
        "kdf": {"name": "scrypt", "params": cost, "salt": base64.b64encode(b"salt" * 8).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(b"n" * 24).decode()},
        "ciphertext": base64.b64encode(SecretBox(derived).encrypt(der, b"n" * 24).ciphertext).decode(),
    }
    text = base64.encodebytes(json.dumps(envelope).encode()).decode()
    label = "ENCRYPTED SIGSTORE PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


OWN = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("pem", [pkcs8(OWN, b"secret"), cosign_key(OWN, b"secret")], ids=["pkcs8", "cosign"])
def test_an_encrypted_key_opens_with_its_passphrase_alone(pem: bytes) -> None:
    assert is_encrypted(pem)
    assert read_signing_key(pem, lambda: b"secret").public.public == OWN.public_key()
    with pytest.raises(SigningError, match="the passphrase does not open the key"):
        read_signing_key(pem, lambda: b"other", "image.key")


def test_a_wrong_passphrase_is_told_even_where_it_seems_to_open_the_key() -> None:
    pem = pkcs8(OWN, b"secret")
    seeming = next(word for word in (b"%d" % number for number in range(20_000)) if seems_to_open(pem, word))
    with pytest.raises(SigningError, match="the passphrase does not open the key"):
        read_signing_key(pem, lambda: seeming)


def seems_to_open(pem: bytes, passphrase: bytes) -> bool:
    """Tell whether a wrong passphrase gives what the library takes for decrypted, and then for no key."""
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - its words are what is asked for
        serialization.load_pem_private_key(pem, passphrase)
    return "decrypt" not in str(refusal.value)


def test_a_throwaway_key_says_so_and_is_not_encrypted() -> None:
    pem = new_key()
    assert not is_encrypted(pem)
    assert read_signing_key(pem, never).throwaway
    assert not read_signing_key(pkcs8(OWN), never).throwaway


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "no private key in PEM form"),
        (
            OWN.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "PEM",
        ),
        (pkcs8(rsa.generate_private_key(65537, 2048)), "no ECDSA key on P-256"),
        (pkcs8(ec.generate_private_key(ec.SECP384R1())), "no ECDSA key on P-256"),
        (pkcs8(OWN).replace(b"M", b"?"), "no private key that can be read"),
        (cosign_key(OWN, b"", N=1 << 40), "no private key that can be read"),
        (cosign_key(OWN, b"", p=1 << 40), "no private key that can be read"),
        (cosign_key(OWN, b"", N="many"), "no private key that can be read"),
        (pkcs8(OWN) + b" " * 100_000, "no private key in PEM form"),
    ],
)
def test_what_is_no_key_for_images_is_refused(pem: bytes, words: str) -> None:
    with pytest.raises(SigningError, match=words):
        read_signing_key(pem, lambda: b"")


def test_a_key_shows_nothing_of_itself() -> None:
    number = str(OWN.private_numbers().private_value)
    assert number not in repr(read_signing_key(pkcs8(OWN), never))
    broken = pkcs8(OWN).replace(b"A", b"B")
    with pytest.raises(SigningError) as caught:
        read_signing_key(broken, never)
    assert not any(line in str(caught.value) for line in broken.decode().splitlines()[1:-1])


def test_one_key_signs_one_image_the_same_each_time() -> None:
    key = read_signing_key(pkcs8(OWN), never)
    payload = simple_signing(REFERENCE, DIGEST)
    first, second = (
        attached([layer], [content]) for layer, content in (signature(payload, key), signature(payload, key))
    )
    assert first == second


def test_a_signature_is_found_where_podman_looks_and_verifies() -> None:
    key = read_signing_key(pkcs8(OWN), never)
    made, content = signature(simple_signing(REFERENCE, DIGEST), key)
    artefact = attached([made], [content])
    assert signature_tag(DIGEST) == f"sha256-{'ab' * 32}.sig"
    assert attestation_tag(DIGEST) == f"sha256-{'ab' * 32}.att"
    (layer,) = read_attached(artefact.manifest)
    payload = artefact.blobs[1]
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    assert layer.digest == f"sha256:{hashlib.sha256(payload).hexdigest()}"
    public = read_verifying_key(key.public.pem)
    assert public.verifies(payload, layer.signature)
    assert not public.verifies(payload + b" ", layer.signature)
    assert check_payload(payload, REFERENCE, DIGEST) == ""
    config = json.loads(artefact.manifest)["config"]
    assert config["digest"] == f"sha256:{hashlib.sha256(artefact.blobs[0]).hexdigest()}"


def test_a_payload_speaks_of_one_image_under_one_name() -> None:
    payload = simple_signing(REFERENCE, DIGEST)
    assert "1.0-1.el9-uv" in check_payload(payload, f"{REFERENCE}2", DIGEST)
    assert check_payload(payload, REFERENCE, OciDigest("sha256:" + "0" * 64))
    for other in (b"", b"[]", b'{"critical": 1}', payload.replace(b"cosign container", b"another")):
        assert check_payload(other, REFERENCE, DIGEST)


def test_the_fingerprint_is_that_of_the_public_key_in_der() -> None:
    der = OWN.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert read_signing_key(pkcs8(OWN), never).public.fingerprint == hashlib.sha256(der).hexdigest()


def test_an_attestation_is_a_signed_statement_about_the_image() -> None:
    key = read_signing_key(pkcs8(OWN), never)
    layer, content = attestation(statement_about("r/app", [DIGEST], SLSA, {"a": 1}), SLSA, key)
    envelope = read_envelope(content.decode())
    statement = json.loads(envelope.payload)
    assert statement["subject"] == [{"name": "r/app", "digest": {"sha256": "ab" * 32}}]
    assert statement["predicate"] == {"a": 1}
    assert (layer.predicate_type, layer.signature) == (SLSA, b"")


def test_referrers_are_added_once_and_others_stay() -> None:
    key = read_signing_key(pkcs8(OWN), never)
    subject = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": DIGEST, "size": 3}
    one = referrer(subject, *attestation(b"{}", SLSA, key))
    listed = referrers_index(None, [one])
    assert [entry["digest"] for entry in json.loads(listed)["manifests"]] == [one.digest]
    assert referrers_index(listed, [one]) == listed
    other = json.loads(listed)
    other["manifests"][0]["digest"] = DIGEST
    both = json.loads(referrers_index(json.dumps(other).encode(), [one]))["manifests"]
    assert [entry["digest"] for entry in both] == [DIGEST, one.digest]
    assert json.loads(one.manifest)["subject"]["digest"] == DIGEST
    assert referrers_tag(DIGEST) == f"sha256-{'ab' * 32}"


LAYER = {"mediaType": "text/plain", "digest": DIGEST, "size": 1}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[" * 100_000,
        "[]",
        "{}",
        {"layers": "all"},
        {"layers": [1]},
        {"layers": [LAYER] * 65},
        {"layers": [{**LAYER, "digest": "sha256:../../etc"}]},
        {"layers": [{**LAYER, "size": -1}]},
        {"layers": [{**LAYER, "size": 1 << 40}]},
        {"layers": [{**LAYER, "size": True}]},
        {"layers": [{**LAYER, "annotations": ["a"]}]},
        {"layers": [{**LAYER, "annotations": {"a": 1}}]},
        {"layers": [{**LAYER, "mediaType": None}]},
    ],
    ids=str,
)
def test_what_a_registry_gives_for_signatures_is_read_strictly(document: object) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(ValueError):  # noqa: PT011 - that it is refused as a value is the point
        read_attached(text.encode())


def test_a_signature_that_is_no_base64_counts_for_nothing() -> None:
    layer = {**LAYER, "annotations": {"dev.cosignproject.cosign/signature": "?"}}
    (read,) = read_attached(json.dumps({"layers": [layer]}).encode())
    assert read.signature == b""

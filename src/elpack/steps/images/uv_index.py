"""What uv meets in its sandbox when it asks for a lock's files: those that were fetched, under their own addresses."""

from __future__ import annotations

import datetime as dt
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from elpack.steps.images.uv_sandbox import Index

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}
_LIFE = dt.timedelta(days=1)


def make_index(files: Mapping[str, str]) -> Index:
    """Return the index that answers for the addresses (URLs) of `files` with the paths that they have in the sandbox.

    Its certificate is for those hosts, made for this one run, and its key leaves no other trace than in the sandbox.
    """
    parts = {url: urlsplit(url) for url in files}
    names = sorted({part.hostname for part in parts.values() if part.hostname})
    ports = {(part.port or _PORTS[part.scheme], part.scheme == "https") for part in parts.values()}
    secure = any(part.scheme == "https" for part in parts.values())
    authority, certificate = _certificates(names) if secure else ("", "")
    return Index(
        {f"{parts[url].netloc}{unquote(parts[url].path)}": path for url, path in files.items()},
        tuple(name for name in names if _address(name) is None),
        tuple(sorted(ports)),
        certificate,
        authority,
    )


def _certificates(names: list[str]) -> tuple[str, str]:
    """Return an authority that is trusted for one run, and a server's certificate by it with its key; both PEM."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("elpack: one run's own authority")
    usage = x509.BasicConstraints(ca=True, path_length=0)
    root = _unsigned(issuer, issuer, root_key).add_extension(usage, critical=True).sign(root_key, hashes.SHA256())
    places: list[x509.GeneralName] = [
        x509.DNSName(name) if (address := _address(name)) is None else x509.IPAddress(address) for name in names
    ]
    leaf = (
        _unsigned(_name("elpack: what was fetched"), issuer, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return root.public_bytes(pem).decode(), (private + leaf.public_bytes(pem)).decode()


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    return None

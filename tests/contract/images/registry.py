"""Debian's docker-registry on loopback: with TLS by an authority of its own, and users."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USER, PASSWORD = "pusher", "s3cret-in-no-text"
NEEDED = ("docker-registry", "htpasswd")
_STARTS = 20.0


@dataclass
class Registry:
    """A registry that can be stopped and started again with what it holds. `environment` lets clients use it.

    host: with its port. readonly: it takes nothing. storage: the folder with all that it holds.
    """

    home: Path
    tls: bool = True
    users: bool = True
    readonly: bool = False
    port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def storage(self) -> Path:
        return self.home / "storage"

    @property
    def ca(self) -> Path:
        """The certificate of its authority."""
        return self.home / "ca.crt"

    @property
    def log(self) -> str:
        """What it said, with a line for each request."""
        return (self.home / "log").read_text()

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        if self.tls:
            _make_certificates(self.home)
        if self.users:
            text = subprocess.run(
                ["htpasswd", "-niB", USER], input=PASSWORD.encode(), capture_output=True, check=True
            ).stdout
            (self.home / "htpasswd").write_bytes(text)
        self.environment = self._environment()

    def start(self) -> None:
        config = self.home / "config.yml"
        config.write_text(json.dumps(self._configuration()))  # JSON is YAML
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # it takes REGISTRY_AUTH_FILE for a setting of its own
                env={"PATH": os.environ["PATH"]},
            )
        deadline = time.monotonic() + _STARTS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"docker-registry did not start:\n{self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _configuration(self) -> Mapping[str, object]:
        http: dict[str, object] = {"addr": f"127.0.0.1:{self.port}", "secret": "of-a-test"}
        if self.tls:
            http["tls"] = {"certificate": str(self.home / "server.crt"), "key": str(self.home / "server.key")}
        users = {"auth": {"htpasswd": {"realm": "test", "path": str(self.home / "htpasswd")}}} if self.users else {}
        return {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}, "level": "error"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": self.readonly}},
            },
            "http": http,
            **users,
        }

    def _environment(self) -> dict[str, str]:
        """Return what lets podman, skopeo and elpack know the registry's authority and its user."""
        config = self.home / "config"
        if self.tls:
            folder = config / "containers" / "certs.d" / self.host
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.ca, folder / "ca.crt")
        auth = self.home / "auth.json"
        entry = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        auth.write_text(json.dumps({"auths": {self.host: entry} if self.users else {}}))
        return {"XDG_CONFIG_HOME": str(config), "REGISTRY_AUTH_FILE": str(auth)}


@contextmanager
def serving(home: Path, *, tls: bool = True, users: bool = True, readonly: bool = False) -> Iterator[Registry]:
    """Provide a registry that runs, and stop it whatever happens."""
    registry = Registry(home, tls, users, readonly)
    registry.prepare()
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _make_certificates(home: Path) -> None:
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = _certificate("an authority of a test", authority, "an authority of a test", authority)
    served = _certificate("localhost", server, "an authority of a test", authority)
    for name, certificate in (("ca.crt", own), ("server.crt", served)):
        (home / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    descriptor = os.open(home / "server.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(server.private_bytes(serialization.Encoding.PEM, form, none))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now, authority = dt.datetime.now(dt.UTC), key is by
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    builder = builder if authority else builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(by, hashes.SHA256())

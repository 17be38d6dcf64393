"""A publisher with a registry and a key, and what an attacker who writes to the registry does with it."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import REPOSITORY
from tests.contract.images.layouts import INDEX, MANIFEST, make_archive
from tests.contract.images.newer import Customer
from tests.contract.images.programs import program
from tests.contract.images.registry import PASSWORD, USER

from elpack.fetch.registry import repository_at
from elpack.sigstore import CYCLONEDX, SLSA, new_key, read_signing_key, signature_tag
from elpack.steps.images.archive import Archive, index_of
from elpack.steps.images.push import Offer, Pushed, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contract.images.newer import Newer
    from tests.contract.images.registry import Registry

    from elpack.fetch.registry import Repository
    from elpack.images.oci import OciDigest
    from elpack.sigstore import SigningKey

PUBLIC, TAG, OLD = "registry.example.org", "26.10.1-1.el9-uv", "26.9.1-1.el9-uv"
"""How the documentation calls the registry and the tag; an older release."""
NAME = "wamp/crossbar"
BILL = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}
PREDICATES = {"linux/amd64": {CYCLONEDX: BILL, SLSA: {"buildDefinition": {}, "runDetails": {}}}}


def a_key() -> SigningKey:
    return read_signing_key(new_key(), bytes)


@dataclass(frozen=True)
class Publisher:
    """Pushes tiny images for two platforms to ``NAME`` in the registry, or to another repository there."""

    registry: Registry
    folder: Path
    key: SigningKey = field(default_factory=a_key)

    @property
    def name(self) -> str:
        return f"{self.registry.host}/{NAME}"

    @contextmanager
    def repository(self, name: str = NAME) -> Iterator[Repository]:
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in self.registry.environment.items():
                patch.setenv(variable, value)
            with repository_at(f"{self.registry.host}/{name}") as repository:
                yield repository

    def archives(self, text: str) -> list[Path]:
        paths = []
        for arch in ("amd64", "arm64"):
            paths.append(self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}-{arch}.oci.tar")
            make_archive(paths[-1], arch=arch, layers=(f"{text} for {arch}".encode(), program(arch)))
        return paths

    def release(self, tag: str, name: str = NAME, key: SigningKey | None = None) -> Pushed:
        """Push an image as elpack does, unless it is there."""
        with self.repository(name) as repository:
            return push(Offer(self.archives(f"{name} {tag}"), tag, PREDICATES), repository, key or self.key)

    def unsigned(self, tag: str) -> dict[str, OciDigest]:
        """Push an image that nobody signed; return its manifests by platform."""
        archives = [Archive(path) for path in self.archives(f"unsigned {tag}")]
        found = {}
        with self.repository() as repository:
            for archive in archives:
                (image,) = archive.images
                for blob in image.blobs:
                    repository.put_blob(blob.digest, blob.size, partial(archive.pieces, blob))
                repository.put_manifest(image.descriptor.digest, image.manifest, MANIFEST)
                found[str(image.descriptor.platform)] = image.descriptor.digest
            repository.put_manifest(tag, index_of(archives), INDEX)
        return found

    def stored(self, digest: str) -> Path:
        """Return where the registry keeps a blob."""
        plain = digest.removeprefix("sha256:")
        return self.registry.storage / "docker/registry/v2/blobs/sha256" / plain[:2] / plain / "data"

    def manifest(self, pushed: Pushed, platform: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stored(pushed.platforms[platform]).read_text())
        return found

    def moved(self, tag: str, to: Pushed) -> str:
        """Let a tag name another image of ours."""
        with self.repository() as repository:
            repository.put_manifest(tag, self.stored(to.digest).read_bytes(), INDEX)
        return f"{self.name}:{tag}"

    def forged(self, tag: str, of: Pushed, platform: str) -> str:
        """Change one manifest, beside which the good one's signature is put, and make an index of it."""
        good = of.platforms[platform]
        manifest = self.stored(good).read_bytes().replace(b"{", b'{"annotations":{"evil":"1"},', 1)
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        index = json.loads(self.stored(of.digest).read_text())
        for entry in index["manifests"]:
            if entry["digest"] == good:
                entry |= {"digest": digest, "size": len(manifest)}
        with self.repository() as repository:
            repository.put_manifest(digest, manifest, MANIFEST)
            repository.put_manifest(tag, json.dumps(index).encode(), INDEX)
            signed = repository.manifest(signature_tag(good))
            assert signed
            repository.put_manifest(signature_tag(type(good)(digest)), *signed)
        return f"{self.name}:{tag}"


def visitor(newer: Newer, folder: Path, *registries: Registry) -> Customer:
    """Return a machine that may use these registries; it believes no signature yet."""
    customer = Customer(newer, folder)
    for registry in registries:
        customer.write(f"etc/containers/certs.d/{registry.host}/ca.crt", registry.ca.read_text())
        customer.log_in(registry.host, USER, PASSWORD)
    return customer


class Page:
    """A page of the documentation: the files that it names, and its commands, with other hosts for its own."""

    def __init__(self, name: str, **hosts: str) -> None:
        self.text = (REPOSITORY / "docs" / "how-to" / name).read_text()
        self._hosts = hosts

    def files(self) -> list[tuple[str, str]]:
        """Return path and text of each file, in order: what follows a paragraph with its path."""
        pattern = r"`(/(?:etc|srv)/[^`]+)`[^`]*:\n\n```(?!bash)\w+\n(.*?)^```$"
        found = re.findall(pattern, self.text, re.DOTALL | re.MULTILINE)
        return [(path, self._mapped(text)) for path, text in found]

    def commands(self) -> list[str]:
        """Return the blocks of commands."""
        found = re.findall(r"^```bash\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        return [self._mapped(text) for text in found]

    def configures(self, customer: Customer, *paths: str) -> None:
        """Write its first files of these paths to the customer's machine; all below /etc if none is named."""
        files = dict(reversed(self.files()))
        for path in paths or [path for path in files if path.startswith("/etc/")]:
            customer.write(path.removeprefix("/"), files[path])

    def promises(self, words: str, said: str) -> None:
        """Assert that a program said what the page tells that it says; … is anything."""
        assert f"`{words}" in self.text
        assert re.search(re.escape(words).replace("…", ".*"), said), said

    def _mapped(self, text: str) -> str:
        for old, new in self._hosts.items():
            text = text.replace({"public": PUBLIC, "mirror": "mirror.example.net"}[old], new)
        return text

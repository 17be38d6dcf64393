"""The client against a registry as people run it: TLS, users, read-only, a full disk."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.layouts import INDEX, digest_of
from tests.contract.images.registry import NEEDED, PASSWORD, Registry, serving

from elpack.errors import RegistryError
from elpack.fetch.registry import Repository, repository_at
from elpack.fetch.transport import Patience
from elpack.images.oci import OciDigest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = Patience(attempts=2, timeout=5, pause=0.01)
CONTENT = b"a layer" * 100_000
BLOB = OciDigest(digest_of(CONTENT))
EMPTY = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Iterator[Registry]:
    needs(*NEEDED)
    with serving(tmp_path_factory.mktemp("registry")) as one:
        yield one


@contextmanager
def connected(registry: Registry, monkeypatch: pytest.MonkeyPatch, **other: str) -> Iterator[Repository]:
    for name, value in (registry.environment | other).items():
        monkeypatch.setenv(name, value)
    with repository_at(f"{registry.host}/shop/app", patience=QUICK) as repository:
        yield repository


def put(repository: Repository, content: bytes = CONTENT) -> bool:
    return repository.put_blob(
        OciDigest(digest_of(content)), len(content), lambda: (content[:1000], content[1000:]), lambda _: None
    )


def test_what_is_put_there_is_there(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(registry, monkeypatch) as repository:
        assert not repository.has_blob(BLOB)
        assert put(repository)
        assert not put(repository)
        assert repository.has_blob(BLOB, len(CONTENT))
        assert repository.blob(BLOB, len(CONTENT)) == CONTENT
        assert repository.manifest("1.0") is None
        repository.put_manifest("1.0", EMPTY, INDEX)
        assert repository.manifest("1.0") == (EMPTY, INDEX)
        assert repository.manifest(digest_of(EMPTY)) == (EMPTY, INDEX)
        assert not repository.keeps_referrers(BLOB)
    assert PASSWORD not in registry.log


def test_a_blob_of_another_digest_is_refused_by_the_registry(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(registry, monkeypatch) as repository, pytest.raises(RegistryError, match="DIGEST_INVALID"):
        repository.put_blob(OciDigest(f"sha256:{'0' * 64}"), 3, lambda: (b"abc",), lambda _: None)


def test_a_registry_of_an_unknown_authority_is_not_spoken_to(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = rf"certificate is not trusted[^$]*certs\.d/{registry.host}/ca\.crt"
    stranger = connected(registry, monkeypatch, XDG_CONFIG_HOME=str(tmp_path))
    with stranger as repository, pytest.raises(RegistryError, match=words):
        repository.digest("1.0")


def test_a_registry_of_another_name_is_not_spoken_to(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    other = f"127.0.0.2:{registry.port}"
    for name, value in registry.environment.items():
        monkeypatch.setenv(name, value)
    with repository_at(f"{other}/shop/app", patience=QUICK) as repository, pytest.raises(RegistryError):
        repository.digest("1.0")


@pytest.mark.parametrize(
    ("auth", "words"),
    [({}, "wants a user and a password"), ({"auth": "cHVzaGVyOndyb25n"}, "refuses the credentials of pusher")],
)
def test_who_is_nobody_there_is_told(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, str], words: str
) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: auth}}))
    stranger = connected(registry, monkeypatch, REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"))
    told = f"{words}[^$]*podman login {registry.host}"
    with stranger as repository, pytest.raises(RegistryError, match=told):
        put(repository, b"other")


def test_plain_http_is_spoken_to_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None]
) -> None:
    needs(*NEEDED)
    with serving(tmp_path / "plain", tls=False, users=False) as plain, connected(plain, monkeypatch) as repository:
        assert put(repository)


def test_a_read_only_registry_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None]
) -> None:
    needs(*NEEDED)
    with serving(tmp_path / "readonly", tls=False, users=False, readonly=True) as one:
        refused = pytest.raises(RegistryError, match="the registry is read-only")
        with connected(one, monkeypatch) as repository, refused:
            put(repository)


@pytest.mark.root
@pytest.mark.parametrize("tls", [False, True])
def test_a_full_registry_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None], *, tls: bool
) -> None:
    needs(*NEEDED)
    (tmp_path / "full" / "storage").mkdir(parents=True)
    place = str(tmp_path / "full" / "storage")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=True)
    try:
        with serving(tmp_path / "full", tls=tls, users=False) as one:
            refused = pytest.raises(RegistryError, match="the registry's disk is full")
            with connected(one, monkeypatch) as repository, refused:
                put(repository, bytes(24 << 20))  # it answers in the middle, and closes
    finally:
        subprocess.run(["umount", place], check=True)

"""elpack image push as people type it: out of dist, to a registry with TLS and a user."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.contract.images.registry import NEEDED, PASSWORD, Registry, serving
from tests.image_results import ROOT, results
from typer.testing import CliRunner

from elpack.cli import app
from elpack.fetch.registry import repository_at
from elpack.sigstore import read_attached, read_verifying_key, signature_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSPHRASE = "a pass phrase"  # noqa: S105 - of nobody
REFUSED, NO_IMAGES, NO_KEY = 32, 30, 27


@dataclass(frozen=True)
class Desk:
    """A project with images, and a registry for them."""

    home: Path
    registry: Registry

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/shop/crossbar"

    def push(self, *options: str, code: int = 0, to: str = "") -> str:
        """Push, and return what was said."""
        argv = ["image", "push", "--file", str(self.home / "elpack.toml"), "--to", to or self.repository]
        argv += ["--arch", "x86_64", *options]
        done = CliRunner().invoke(app, argv)
        assert done.exit_code == code, done.output
        assert PASSWORD not in done.output
        return done.output

    def tags(self) -> list[str]:
        folder = self.registry.storage / "docker/registry/v2/repositories/shop/crossbar/_manifests/tags"
        return sorted(path.name for path in folder.glob("*") if not path.name.startswith("sha256-"))


@pytest.fixture
def desk(tmp_path: Path, needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    needs(*NEEDED)
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("elpack.toml", "pylock.build.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    with serving(tmp_path / "registry") as registry:
        for name, value in registry.environment.items():
            monkeypatch.setenv(name, value)
        yield Desk(tmp_path, registry)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return an encrypted key, with its public part beside it."""
    own = ec.generate_private_key(ec.SECP256R1())
    sealed = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    form = serialization.PrivateFormat.PKCS8
    (tmp_path / "own.key").write_bytes(own.private_bytes(serialization.Encoding.PEM, form, sealed))
    shown = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "own.pub").write_bytes(shown)
    (tmp_path / "phrase").write_text(f"{PASSPHRASE}\n")
    return tmp_path / "own.key"


def test_both_flavours_are_pushed_and_signed_by_the_named_key(desk: Desk, key: Path, tmp_path: Path) -> None:
    results(desk.home / "dist")
    told = desk.push("--key", str(key), "--passphrase-file", str(tmp_path / "phrase"))
    assert desk.tags() == ["26.10.1-1.el9-rpm", "26.10.1-1.el9-uv"]
    public = read_verifying_key(key.with_suffix(".pub").read_bytes())
    assert f"signed by sha256:{public.fingerprint}" in told
    with repository_at(desk.repository) as repository:
        for tag in desk.tags():
            digest = repository.digest(tag)
            assert digest
            assert f"{desk.repository}@{digest}" in told
            found = repository.manifest(signature_tag(digest))
            assert found
            (layer,) = read_attached(found[0])
            assert public.verifies(repository.blob(layer.digest, 10_000), layer.signature)


def test_the_passphrase_is_taken_from_the_environment(desk: Desk, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results(desk.home / "dist")
    monkeypatch.setenv("COSIGN_PASSWORD", "wrong")
    assert "the passphrase does not open the key" in desk.push("--key", str(key), code=NO_KEY)
    monkeypatch.delenv("COSIGN_PASSWORD")
    assert "nobody can be asked" in desk.push("--key", str(key), code=NO_KEY)
    monkeypatch.setenv("COSIGN_PASSWORD", PASSPHRASE)
    desk.push("--key", str(key), "--flavour", "uv")
    assert desk.tags() == ["26.10.1-1.el9-uv"]


def test_a_throwaway_key_pushes_snapshots_alone(desk: Desk) -> None:
    results(desk.home / "dist", throwaway=True)
    assert "a throwaway key signed the packages" in desk.push(code=NO_IMAGES)
    assert desk.tags() == []
    (desk.home / "dist/el9/x86_64/images/wamp.pub").write_text("of somebody else")
    told = desk.push("--snapshot")
    assert "THROWAWAY" in told
    assert "wamp.pub is another key than the one that signs" in told
    assert len(desk.tags()) == 2


def test_a_release_is_not_signed_by_a_throwaway_key(desk: Desk) -> None:
    results(desk.home / "dist")
    assert "a throwaway key signs snapshots, never a release" in desk.push(code=NO_KEY)
    assert desk.tags() == []


def test_a_dry_run_only_looks(desk: Desk) -> None:
    results(desk.home / "dist")
    told = desk.push("--dry-run")
    assert f"{desk.repository}:26.10.1-1.el9-uv would be pushed" in told
    assert not (desk.registry.storage / "docker").exists()
    assert not (desk.home / ".elpack" / "image.key").exists()
    assert "there is an image for x86_64, and none for aarch64" in desk.push(
        "--dry-run", "--arch", "all", code=NO_IMAGES
    )


def test_what_the_registry_refuses_is_one_clear_message(desk: Desk, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results(desk.home / "dist")
    monkeypatch.setenv("COSIGN_PASSWORD", PASSPHRASE)
    options = ("--key", str(key))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(desk.home / "none"))
    assert "REGISTRY_AUTH_FILE names no file" in desk.push(*options, code=REFUSED)
    (desk.home / "none").write_text("{}")
    assert f"podman login {desk.registry.host}" in desk.push(*options, code=REFUSED)
    assert "is not of the form" in desk.push(*options, to="not a repository", code=REFUSED)
    desk.registry.stop()
    assert "no connection to the registry: Connection refused" in desk.push(*options, code=REFUSED)

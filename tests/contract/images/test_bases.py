"""The digests of bases are those that a registry has behind a tag, for an index and for a single image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.registry import serving

from elpack.errors import ImageError, RegistryError
from elpack.fetch.registry import repository_at
from elpack.images.bases import LOCK, read_pins
from elpack.images.oci import INDEX, MANIFEST, digest_of
from elpack.steps.images.pin import pin_base
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.contract.images.registry import Registry

    from elpack.fetch.registry import Repository
    from elpack.images.oci import OciDigest


@pytest.fixture(scope="module")
def registry(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    needs("docker-registry")
    with serving(tmp_path_factory.mktemp("registry"), tls=False, users=False) as registry:
        yield registry


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elpack.toml", tmp_path / "work", tmp_path / "dist")


def put(repository: Repository, architecture: str, tag: str = "") -> OciDigest:
    """Put an image without layers there, and return its manifest's digest."""
    config = json.dumps({"os": "linux", "architecture": architecture}).encode()
    repository.put_blob(digest_of(config), len(config), lambda: (config,))
    kind = "application/vnd.oci.image.config.v1+json"
    named = {"mediaType": kind, "digest": digest_of(config), "size": len(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": []}).encode()
    repository.put_manifest(tag or digest_of(manifest), manifest, MANIFEST)
    return digest_of(manifest)


def test_an_index_is_pinned_with_its_platforms(registry: Registry, workspace: Workspace) -> None:
    name = f"{registry.host}/bases/python"
    with repository_at(name) as repository:
        digests = {architecture: put(repository, architecture) for architecture in ("amd64", "arm64", "s390x")}
        entries = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(repository.manifest(digest)[0]),  # type: ignore[index]
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in digests.items()
        ]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        repository.put_manifest("3.12", index, INDEX)
    found = pin_base(workspace, "python-slim", f"{name}:3.12")
    assert found.index == digest_of(index)
    assert found.platforms == {"x86_64": digests["amd64"], "aarch64": digests["arm64"]}
    assert read_pins((workspace.home / LOCK).read_text()) == {"python-slim": found}


def test_a_single_image_is_pinned_and_found_again_by_its_name(registry: Registry, workspace: Workspace) -> None:
    reference = f"{registry.host}/bases/ubi:1"
    with repository_at(f"{registry.host}/bases/ubi") as repository:
        digest = put(repository, "amd64", "1")
        assert pin_base(workspace, "ubi9-minimal", reference).platforms == {"x86_64": digest}
        moved = put(repository, "arm64", "1")
    again = pin_base(workspace, "ubi9-minimal")
    assert (again.reference, again.platforms) == (reference, {"aarch64": moved})


def test_what_cannot_be_pinned_is_refused(registry: Registry, workspace: Workspace) -> None:
    name = f"{registry.host}/bases/other"
    with repository_at(name) as repository:
        put(repository, "s390x", "1")
    with pytest.raises(RegistryError, match="there is no such image"):
        pin_base(workspace, "python-slim", f"{name}:2")
    with pytest.raises(ImageError, match="it is not for x86_64 or aarch64"):
        pin_base(workspace, "python-slim", f"{name}:1")
    with pytest.raises(ImageError, match="made here"):
        pin_base(workspace, "el9-standin")
    with pytest.raises(ImageError, match="nobody knows where ubi9-minimal was pushed"):
        pin_base(workspace, "ubi9-minimal")
    with pytest.raises(ImageError, match="no base image is called alpine"):
        pin_base(workspace, "alpine")
    assert not (workspace.home / LOCK).exists()

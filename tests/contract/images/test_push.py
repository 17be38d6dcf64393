"""Pushing made-up images to a registry: the order, what breaks off, what is there already, what is signed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.images.layouts import make_archive
from tests.contract.images.registry import NEEDED, Registry, serving

from elpack.dsse import read_envelope
from elpack.errors import ElpackError, ImageError, RegistryError
from elpack.fetch.registry import repository_at
from elpack.fetch.transport import Patience
from elpack.sigstore import CYCLONEDX, SLSA, new_key, read_attached, read_signing_key, referrers_tag, signature_tag
from elpack.steps.images.push import Offer, Pushed, outlook, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.sigstore import SigningKey

QUICK = Patience(attempts=2, timeout=5, pause=0.01)
TAG = "1.0-1.el9-uv"
SAID = {"linux/amd64": {CYCLONEDX: {"bomFormat": "CycloneDX"}, SLSA: {"buildDefinition": {}}}}


class Shop:
    """A registry, and who pushes there by a key of their own."""

    def __init__(self, registry: Registry, key: SigningKey) -> None:
        self.registry, self.key = registry, key
        self.name = f"{registry.host}/shop/app"

    def push(self, *archives: Path, tag: str = TAG, say: Callable[[str], None] = lambda _: None) -> Pushed:
        with repository_at(self.name, patience=QUICK) as repository:
            return push(Offer(archives, tag, SAID), repository, self.key, say)

    def manifest(self, reference: str) -> bytes:
        with repository_at(self.name, patience=QUICK) as repository:
            found = repository.manifest(reference)
            assert found, reference
            return found[0]

    def has(self, reference: str) -> bool:
        with repository_at(self.name, patience=QUICK) as repository:
            return repository.manifest(reference) is not None

    def put(self, since: int = 0) -> list[str]:
        """Return what was put there, in its order: blobs as `blob`, manifests by their reference."""
        lines = self.registry.log.splitlines()[since:]
        found = [re.search(r'"PUT /v2/shop/app/(blobs|manifests)/(\S+) HTTP/1.1" 201', line) for line in lines]
        return ["blob" if match[1] == "blobs" else match[2] for match in found if match]

    @property
    def uploads(self) -> list[str]:
        """The digests of the blobs that were sent there, with those that were sent twice."""
        return re.findall(
            r'"PUT /v2/shop/app/blobs/\S*digest=sha256%3A([0-9a-f]{64})\S* HTTP/1.1" 201', self.registry.log
        )

    @property
    def lines(self) -> int:
        return len(self.registry.log.splitlines())


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return read_signing_key(new_key(), bytes)


@pytest.fixture
def shop(
    tmp_path: Path, key: SigningKey, needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    needs(*NEEDED)
    with serving(tmp_path / "registry") as registry:
        for name, value in registry.environment.items():
            monkeypatch.setenv(name, value)
        yield Shop(registry, key)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_archive(tmp_path / "app.oci.tar")
    return tmp_path / "app.oci.tar"


def test_what_is_pushed_is_what_lies_in_the_archive(shop: Shop, tmp_path: Path) -> None:
    digest = make_archive(tmp_path / "app.oci.tar")
    done = shop.push(tmp_path / "app.oci.tar")
    assert done.digest == digest
    assert done.pinned == f"{shop.name}@{digest}"
    assert done.fresh
    assert list(done.platforms) == ["linux/amd64"]
    assert shop.manifest(TAG) == shop.manifest(digest)


def test_the_tag_is_put_there_last(shop: Shop, archive: Path) -> None:
    shop.push(archive)
    put = shop.put()
    assert put[-1] == TAG
    assert put.count(TAG) == 1
    signatures = [reference for reference in put if reference.endswith((".sig", ".att"))]
    assert len(signatures) == 4  # of the index and of the platform's manifest
    assert put[:3] == ["blob"] * 3


def test_a_second_push_changes_nothing(shop: Shop, archive: Path) -> None:
    first = shop.push(archive)
    before = shop.lines
    again = shop.push(archive)
    assert shop.put(before) == []
    assert (again.fresh, again.sent, again.digest) == (False, 0, first.digest)


@pytest.mark.parametrize("stage", ["blob 2 of 3", "sign", "read it back"])
def test_after_a_break_only_what_is_missing_is_sent(shop: Shop, archive: Path, stage: str) -> None:
    def say(text: str) -> None:
        if text == stage:
            shop.registry.stop()

    with pytest.raises(RegistryError, match=r"no connection to the registry|the connection broke") as caught:
        shop.push(archive, say=say)
    assert "only what is missing is sent" in str(caught.value)
    shop.registry.start()
    assert shop.has(TAG) == (stage == "read it back")
    before = shop.lines
    shop.push(archive)
    assert len(shop.put(before)) < len(shop.put())
    assert len(shop.uploads) == len(set(shop.uploads))


def test_a_tag_is_never_moved(shop: Shop, archive: Path, tmp_path: Path) -> None:
    first = shop.push(archive)
    other = make_archive(tmp_path / "other.oci.tar", layers=(b"changed",))
    before = shop.lines
    with pytest.raises(
        RegistryError, match=rf"names {first.digest} there, and {other} here[^$]*raise \[release\] revision"
    ):
        shop.push(tmp_path / "other.oci.tar")
    assert shop.put(before) == []
    with repository_at(shop.name) as repository, pytest.raises(RegistryError, match="the tag names"):
        outlook(Offer([tmp_path / "other.oci.tar"], TAG), repository)


def test_a_tag_that_came_meanwhile_is_not_moved(shop: Shop, archive: Path, tmp_path: Path) -> None:
    make_archive(tmp_path / "other.oci.tar", layers=(b"changed",))
    others: list[Pushed] = []

    def say(text: str) -> None:
        if text == "sign" and not others:
            others.append(shop.push(tmp_path / "other.oci.tar"))

    with pytest.raises(RegistryError, match="the tag names"):
        shop.push(archive, say=say)
    assert shop.push(tmp_path / "other.oci.tar").digest == others[0].digest


def test_missing_signatures_are_completed_and_others_stay(shop: Shop, archive: Path, key: SigningKey) -> None:
    other = Shop(shop.registry, read_signing_key(new_key(), bytes))
    digest = other.push(archive).digest
    done = shop.push(archive)
    layers = read_attached(shop.manifest(signature_tag(digest)))
    with repository_at(shop.name) as repository:
        payloads = [repository.blob(layer.digest, 10_000) for layer in layers]
    judged = [
        [key.public.verifies(payload, layer.signature) for payload, layer in zip(payloads, layers, strict=True)]
        for key in (other.key, shop.key)
    ]
    assert judged == [[True, False], [False, True]]
    assert not done.fresh


def test_index_and_platform_are_signed_with_the_tag(shop: Shop, archive: Path) -> None:
    done = shop.push(archive)
    for digest in (done.digest, *done.platforms.values()):
        (layer,) = read_attached(shop.manifest(signature_tag(digest)))
        with repository_at(shop.name) as repository:
            payload = json.loads(repository.blob(layer.digest, 10_000))
        assert payload["critical"]["identity"]["docker-reference"] == f"{shop.name}:{TAG}"
        assert payload["critical"]["image"]["docker-manifest-digest"] == digest


def test_two_registries_get_the_same_signatures(shop: Shop, archive: Path, tmp_path: Path) -> None:
    done = shop.push(archive)
    first = shop.manifest(signature_tag(done.digest)), shop.manifest(referrers_tag(done.digest))
    shop.registry.stop()
    shop.registry.storage.rename(tmp_path / "old")
    shop.registry.start()
    shop.push(archive)
    assert first == (shop.manifest(signature_tag(done.digest)), shop.manifest(referrers_tag(done.digest)))


def test_what_is_attested_is_listed_as_referrers(shop: Shop, archive: Path) -> None:
    done = shop.push(archive)
    for digest in (done.digest, *done.platforms.values()):
        listed = json.loads(shop.manifest(referrers_tag(digest)))["manifests"]
        assert sorted(one["annotations"]["predicateType"] for one in listed) == [CYCLONEDX, SLSA]
        for one in listed:
            referrer: dict[str, Any] = json.loads(shop.manifest(one["digest"]))
            assert referrer["subject"]["digest"] == digest
            with repository_at(shop.name) as repository:
                envelope = read_envelope(repository.blob(referrer["layers"][0]["digest"], 1 << 20).decode())
            subjects = {subject["digest"]["sha256"] for subject in json.loads(envelope.payload)["subject"]}
            assert digest.removeprefix("sha256:") in subjects


def test_architectures_become_one_index(shop: Shop, archive: Path, tmp_path: Path) -> None:
    make_archive(tmp_path / "arm.oci.tar", arch="arm64")
    done = shop.push(tmp_path / "arm.oci.tar", archive)
    index = json.loads(shop.manifest(TAG))
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    assert {one["digest"] for one in index["manifests"]} == set(done.platforms.values())
    with pytest.raises(ImageError, match="linux/amd64, which is in"):
        shop.push(archive, archive, tag="other")


def test_an_outlook_puts_nothing_there(shop: Shop, archive: Path) -> None:
    with repository_at(shop.name) as repository:
        one = outlook(Offer([archive], TAG), repository)
    assert (one.fresh, one.missing) == (True, 3)
    assert shop.put() == []


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_a_damaged_archive_never_gets_a_tag(shop: Shop, archive: Path, where: float) -> None:
    content = bytearray(archive.read_bytes().rstrip(b"\0"))
    position = int(len(content) * where)
    content[position : position + 600] = b"x" * 600
    archive.write_bytes(content)
    with pytest.raises(ElpackError):
        shop.push(archive)
    assert not shop.has(TAG)


def test_something_else_where_signatures_belong_is_told(shop: Shop, archive: Path) -> None:
    done = shop.push(archive)
    shop.registry.stop()
    tags = shop.registry.storage / "docker/registry/v2/repositories/shop/app/_manifests/tags"
    link = tags / signature_tag(done.digest) / "current/link"
    link.write_text((tags / TAG / "current/link").read_text())
    shop.registry.start()
    with pytest.raises(RegistryError, match="something else lies where signatures belong"):
        shop.push(archive)

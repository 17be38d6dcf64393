"""What is read of image layouts, whoever wrote them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elpack.errors import ImageError
from elpack.images.oci import (
    INDEX,
    LAYER,
    MANIFEST,
    Descriptor,
    Platform,
    canonical_config,
    digest_of,
    index_text,
    manifest_text,
    oci_digest,
    platform_of,
    read_config,
    read_index,
    read_manifest,
)

DIGEST = digest_of(b"x")
BLOB = {"mediaType": LAYER, "digest": DIGEST, "size": 1}
CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Labels": {"io.buildah.version": "1.28.2", "a": "b"}, "User": "1000:1000"},
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "ADD", "comment": "FROM 0123"}],
}


def index(**more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [BLOB], **more}).encode()


def manifest(**more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": BLOB, "layers": [BLOB], **more}).encode()


def test_what_is_written_is_read_again() -> None:
    one = Descriptor(MANIFEST, DIGEST, 12, Platform("linux", "arm64", "v8"))
    assert read_index(index_text([one], {"a": "b"}), "x") == (one,)
    layers = (Descriptor(LAYER, DIGEST, 1), Descriptor(LAYER, DIGEST, 2))
    found = read_manifest(manifest_text(layers[0], layers, {"a": "ö"}), "x")
    assert (found.config, found.layers, found.annotations) == (layers[0], layers, {"a": "ö"})


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        f"{DIGEST}\n",
        "sha256:../../../etc/passwd",
        "sha512:" + "a" * 128,
        "",
        7,
        None,
        [DIGEST],
    ],
)
def test_a_digest_is_nothing_else(text: Any) -> None:
    with pytest.raises(ImageError, match="a digest is sha256"):
        oci_digest(text, "index.json")


@pytest.mark.parametrize("text", ["linux", "linux/", "linux/amd64/v8/x", "Linux/amd64", "linux/amd64\n", "../amd64"])
def test_a_platform_is_nothing_else(text: str) -> None:
    with pytest.raises(ImageError, match="linux/amd64"):
        platform_of(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "expected"),
        (b'{"schemaVersion": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b" " * ((4 << 20) + 1), "more than 4 MiB"),
        (b"[]", "expected an object"),
        (b'{"schemaVersion": 2, "manifests": [], "a": "\\ud800"}', "not Unicode"),
        (index(schemaVersion=1), "schemaVersion 2"),
        (index(schemaVersion=2.0), "schemaVersion 2"),
        (index(mediaType=MANIFEST), "expected application/vnd.oci.image.index"),
        (index(manifests=None), "manifests as a list"),
        (index(manifests={"0": BLOB}), "manifests as a list"),
        (index(manifests=[BLOB] * 1001), "at most 1000"),
        (index(manifests=["x"]), "expected an object"),
        (index(manifests=[{**BLOB, "digest": "sha256:../../x"}]), r"manifests\[0\]: a digest"),
        (index(manifests=[{**BLOB, "size": -1}]), "no size"),
        (index(manifests=[{**BLOB, "size": True}]), "no size"),
        (index(manifests=[{**BLOB, "size": 1 << 60}]), "no size"),
        (index(manifests=[{**BLOB, "mediaType": "a\nb"}]), "no media type"),
        (index(manifests=[{**BLOB, "platform": []}]), "platform: expected an object"),
        (index(manifests=[{**BLOB, "platform": {"os": "linux"}}]), "no architecture"),
        (index(manifests=[{**BLOB, "platform": {"os": "linux", "architecture": "amd64", "variant": 8}}]), "no variant"),
    ],
)
def test_a_hostile_index_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        read_index(content, "index.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (manifest(config=None), "config: expected an object"),
        (manifest(layers="x"), "layers as a list"),
        (manifest(layers=[{**BLOB, "digest": 1}]), r"layers\[0\]"),
        (manifest(annotations={"a": 1}), "expected text at 'a'"),
        (manifest(annotations=[]), "expected an object"),
        (manifest(mediaType="application/vnd.docker.distribution.manifest.v2+json"), "expected application/vnd.oci"),
    ],
)
def test_a_hostile_manifest_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        read_manifest(content, "a manifest")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rootfs": None}, "rootfs"),
        ({"rootfs": {"diff_ids": ["x"]}}, r"diff_ids\[0\]"),
        ({"architecture": None}, "no architecture"),
        ({"os": "li/nux"}, "no os"),
        ({"config": []}, "Labels"),
        ({"config": {"Labels": {"a": []}}}, "expected text at 'a'"),
        ({"history": {}}, "history as a list"),
        ({"history": ["x"]}, "expected an object"),
    ],
)
def test_a_hostile_configuration_is_refused(change: dict[str, Any], said: str) -> None:
    if change == {"config": []}:  # an empty list counts as none, another one does not
        change, said = {"config": ["x"]}, "expected an object"
    with pytest.raises(ImageError, match=said):
        canonical_config(json.dumps({**CONFIG, **change}).encode(), "a configuration")


def test_what_tells_who_built_it_is_left_out_and_nothing_else() -> None:
    content = canonical_config(json.dumps(CONFIG).encode(), "x")
    expected = {**CONFIG, "config": {"Labels": {"a": "b"}, "User": "1000:1000"}}
    expected["history"] = [{"created": "2023-11-14T22:13:20Z", "created_by": "ADD"}]
    assert json.loads(content) == expected
    assert canonical_config(content, "x") == content
    found = read_config(content, "x")
    assert (found.platform, found.layers, found.labels) == (Platform("linux", "amd64"), (DIGEST,), {"a": "b"})

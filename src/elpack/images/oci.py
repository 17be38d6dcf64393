"""OCI image layouts as values: descriptors, manifests, indexes and configurations, read strictly."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NewType

from elpack.errors import ImageError, Problem
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OciDigest = NewType("OciDigest", str)
"""``sha256:`` and 64 hexadecimal digits; made by `oci_digest` and `digest_of` alone."""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYOUT = '{"imageLayoutVersion":"1.0.0"}'
LABELS = "org.opencontainers.image."
"""Begins the labels that are annotations as well."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+/-]{0,254}")
_NAME = re.compile(r"[a-z0-9]{1,32}")
_LARGEST = 4 << 20
"""Bytes of a document, as registries limit it."""
_MOST = 1000
_BUILDER = "io.buildah.version"
"""The label by which two podmans' images would differ."""
_MACHINES = {"amd64": 62, "arm64": 183, "ppc64le": 21, "s390x": 22, "386": 3, "riscv64": 243}
"""e_machine of the ELF header by Go's name."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, as Go names it: ``linux/amd64``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def machine(self) -> int | None:
        """The number by which ELF headers name the architecture, None where it is not known."""
        return _MACHINES.get(self.architecture)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by digest; size in bytes."""

    media_type: str
    digest: OciDigest
    size: int
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """What an OCI archive holds. index: what a tag leads to; manifests: one for each platform.

    configs: one for each manifest; their digests are the ids by which podman knows the images.
    """

    index: OciDigest
    manifests: tuple[Descriptor, ...]
    configs: tuple[OciDigest, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One platform's image: its configuration, and its layers from the lowest to the uppermost."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """What of an image's configuration elpack asks for. layers: digests of the uncompressed tars, the lowest first."""

    platform: Platform
    layers: tuple[OciDigest, ...]
    labels: Mapping[str, str]


def digest_of(content: bytes) -> OciDigest:
    """Return the digest of a blob."""
    return OciDigest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def oci_digest(text: Any, where: str = "") -> OciDigest:
    """Return a digest. Raises `ImageError` for what is none."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise _wrong("a digest is sha256: and 64 hexadecimal digits", text, where)
    return OciDigest(text)


def platform_of(text: str) -> Platform:
    """Return ``os/architecture[/variant]`` as a value. Raises `ImageError`."""
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(map(_NAME.fullmatch, parts)):
        raise _wrong("a platform is of the form linux/amd64", text, "platform")
    return Platform(*parts)


def read_index(content: bytes, where: str) -> tuple[Descriptor, ...]:
    """Return what an index, or a layout's index.json, names. Raises `ImageError`."""
    document = _document(content, where)
    _media_type(document, INDEX, where)
    return tuple(
        _descriptor(one, f"{where}: manifests[{number}]")
        for number, one in enumerate(_list(document, "manifests", where))
    )


def read_annotations(content: bytes, where: str) -> Mapping[str, str]:
    """Return what an index or a manifest says of itself. Raises `ImageError`."""
    return _texts(_document(content, where).get("annotations"), f"{where}: annotations")


def read_manifest(content: bytes, where: str) -> Manifest:
    """Return the manifest of one platform's image. Raises `ImageError`."""
    document = _document(content, where)
    _media_type(document, MANIFEST, where)
    layers = _list(document, "layers", where)
    return Manifest(
        _descriptor(document.get("config"), f"{where}: config"),
        tuple(_descriptor(one, f"{where}: layers[{number}]") for number, one in enumerate(layers)),
        _texts(document.get("annotations"), f"{where}: annotations"),
    )


def read_config(content: bytes, where: str) -> Config:
    """Return what an image's configuration says. Raises `ImageError`."""
    return _config(_document(content, where), where)


def canonical_config(content: bytes, where: str) -> bytes:
    """Return an image's configuration without what only tells which podman made it, and when what lay in its storage.

    That is buildah's version as a label, and in the history the ids of the images between two steps. Raises
    `ImageError` when it is none.
    """
    document = _document(content, where)
    _config(document, where)
    config = {**_table(document.get("config") or {}, f"{where}: config")}
    labels = {**_texts(config.get("Labels"), f"{where}: Labels")}
    if labels.pop(_BUILDER, None) is not None:
        config["Labels"] = labels
    history = [
        {key: value for key, value in _table(one, f"{where}: history").items() if key != "comment"}
        for one in _list({"history": [], **document}, "history", where)
    ]
    return dumped({**document, "config": config, "history": history})


def index_text(manifests: Sequence[Descriptor], annotations: Mapping[str, str] | None = None) -> bytes:
    """Return an index, or a layout's index.json."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(map(_described, manifests))}
    return dumped({**document, **_annotated(annotations)})


def manifest_text(config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> bytes:
    """Return a manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(config),
        "layers": list(map(_described, layers)),
    }
    return dumped({**document, **_annotated(annotations)})


def dumped(document: Mapping[str, Any]) -> bytes:
    """Return JSON with the same bytes for the same value."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _annotated(annotations: Mapping[str, str] | None) -> dict[str, Any]:
    return {"annotations": dict(annotations)} if annotations else {}


def _described(one: Descriptor) -> dict[str, Any]:
    described: dict[str, Any] = {"mediaType": one.media_type, "digest": one.digest, "size": one.size}
    if one.platform:
        described["platform"] = {"os": one.platform.os, "architecture": one.platform.architecture}
        if one.platform.variant:
            described["platform"]["variant"] = one.platform.variant
    return described


def _document(content: bytes, where: str) -> Mapping[str, Any]:
    if len(content) > _LARGEST:
        raise ImageError(Problem(f"more than {_LARGEST >> 20} MiB", where))
    try:
        document = json_value(content)
    except ValueError as error:  # UnicodeDecodeError is one
        raise ImageError(Problem(f"not valid JSON: {error}", where)) from None
    found = _table(document, where)
    try:
        dumped(found)
    except (ValueError, RecursionError):  # a lone surrogate, which no file can hold
        raise ImageError(Problem("it holds text that is not Unicode, or is nested too deeply", where)) from None
    return found


def _config(document: Mapping[str, Any], where: str) -> Config:
    rootfs = _table(document.get("rootfs"), f"{where}: rootfs")
    layers = _list(rootfs, "diff_ids", f"{where}: rootfs")
    config = _table(document.get("config") or {}, f"{where}: config")
    return Config(
        _platform(document, where),
        tuple(oci_digest(one, f"{where}: diff_ids[{number}]") for number, one in enumerate(layers)),
        _texts(config.get("Labels"), f"{where}: Labels"),
    )


def _descriptor(value: Any, where: str) -> Descriptor:
    table = _table(value, where)
    media_type, size = table.get("mediaType"), table.get("size")
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise _wrong("no media type", media_type, where)
    if type(size) is not int or not 0 <= size < 1 << 50:
        raise _wrong("no size", size, where)
    platform = table.get("platform")
    return Descriptor(
        media_type,
        oci_digest(table.get("digest"), where),
        size,
        None if platform is None else _platform(_table(platform, f"{where}: platform"), f"{where}: platform"),
    )


def _platform(table: Mapping[str, Any], where: str) -> Platform:
    def word(name: str) -> str:
        found = table.get(name)
        if not isinstance(found, str) or not _NAME.fullmatch(found):
            raise _wrong(f"no {name}", found, where)
        return found

    return Platform(word("os"), word("architecture"), word("variant") if table.get("variant") else "")


def _media_type(document: Mapping[str, Any], expected: str, where: str) -> None:
    found = document.get("mediaType", expected)
    if found != expected:
        raise _wrong(f"expected {expected}", found, where)
    if type(document.get("schemaVersion")) is not int or document["schemaVersion"] != 2:  # noqa: PLR2004 - the format's
        raise _wrong("expected schemaVersion 2", document.get("schemaVersion"), where)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("expected an object", value, where)
    return value


def _list(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = table.get(key)
    if not isinstance(value, list) or len(value) > _MOST:
        raise _wrong(f"expected {key} as a list of at most {_MOST}", value, where)
    return value


def _texts(value: Any, where: str) -> Mapping[str, str]:
    table = _table({} if value is None else value, where)
    if wrong := [key for key, text in table.items() if not isinstance(text, str)]:
        raise _wrong(f"expected text at {wrong[0][:80]!r}", table[wrong[0]], where)
    return table


def _wrong(what: str, found: Any, where: str) -> ImageError:
    shown = repr(found)[:80] if isinstance(found, str | int | float | None) else type(found).__name__
    return ImageError(Problem(f"{what}; found {shown}", where))

"""Asks a registry what a base image's tag names today, and writes the digests into the lock of bases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from elpack.atomic import write_text
from elpack.errors import ImageError, Problem, RegistryError
from elpack.fetch.registry import repository_at
from elpack.images.bases import LOCK, PinnedBase, definition, known_bases, pins_text, split_reference
from elpack.images.oci import INDEX, digest_of, oci_digest
from elpack.steps.images.pins import pins
from elpack.strict import json_value

if TYPE_CHECKING:
    from typing import Any

    from elpack.images.oci import OciDigest
    from elpack.workspace import Workspace

_ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}
_DOCKER = "application/vnd.docker.distribution.manifest.list.v2+json"
_LARGEST = 4 << 20


class Registry(Protocol):
    """What is asked of one repository of a registry."""

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """Return a manifest's bytes and media type by tag or digest."""
        ...

    def blob(self, digest: OciDigest, limit: int) -> bytes:
        """Return a blob."""
        ...


def pin_base(workspace: Workspace, name: str, reference: str = "") -> PinnedBase:
    """Write what a base is today into the project's lock, and return it.

    reference: ``host/path:tag``; empty for the one that was pinned before, else the definition's. Raises `ImageError`
    for an unknown base or a reference that names no image for it, `RegistryError` where that cannot be asked.
    """
    if name not in known_bases():
        raise ImageError(Problem(f"no base image is called {name}", fix=f"one of: {', '.join(known_bases())}"))
    base, before = definition(name), pins(workspace)
    if base.standin:
        raise ImageError(
            Problem(f"{name} is made here, not pulled", why="it is the stand-in's", fix="there is nothing to do")
        )
    known = before[name].reference if name in before else "" if base.made_from else base.reference
    wanted = reference or known
    if not wanted:
        fix = (
            f"build containers/bases/{name}, push it, then: elpack image pin {name} registry.example.org/path/name:tag"
        )
        raise ImageError(Problem(f"nobody knows where {name} was pushed", fix=fix))
    try:
        where, tag = split_reference(wanted)
    except ValueError as error:
        raise ImageError(Problem(str(error), fix="with registry and tag, and without digest")) from error
    with repository_at(where) as registry:
        found = replace(ask(registry, tag, wanted), reference=wanted)
    missing = [arch for arch in base.arches if arch not in found.platforms]
    if len(missing) == len(base.arches):
        raise ImageError(Problem(f"it is not for {' or '.join(missing)}", wanted, fix="another tag"))
    path = workspace.home / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, pins_text({**before, name: found}))
    return found


def ask(registry: Registry, tag: str, where: str) -> PinnedBase:
    """Return the digests behind a tag. Raises `RegistryError` when there is none."""
    answer = registry.manifest(tag)
    if answer is None:
        raise RegistryError(
            Problem("there is no such image", where, fix="look at the tag; elpack image pin NAME REFERENCE")
        )
    content, media_type = answer
    document = _document(content, where)
    digest = digest_of(content)
    if media_type in {INDEX, _DOCKER}:
        entries = document.get("manifests")
        named = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        platforms = {arch: oci_digest(str(one.get("digest"))) for one in named if (arch := _arch(one.get("platform")))}
    else:
        config = document.get("config")
        blob = oci_digest(str(config.get("digest") if isinstance(config, dict) else ""))
        arch = _arch(_document(registry.blob(blob, _LARGEST), where))
        platforms = {arch: digest} if arch else {}
    return PinnedBase(where, digest, platforms)


def _arch(platform: Any) -> str:
    if not isinstance(platform, dict) or platform.get("os") != "linux":
        return ""
    return _ARCHES.get(str(platform.get("architecture")), "")


def _document(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json_value(content)
    except ValueError as error:
        raise RegistryError(Problem(f"its manifest is no JSON: {error}", where)) from error
    if not isinstance(value, dict):
        raise RegistryError(Problem("its manifest is no JSON object", where))
    return value

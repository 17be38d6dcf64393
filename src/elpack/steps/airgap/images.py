"""The images of a delivery: their archives as they are, what describes them, and a signature of each manifest."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.images.annotations import tag_of
from elpack.images.model import Images
from elpack.sigstore import simple_signing
from elpack.steps.airgap.archive import member, text_member
from elpack.steps.images.archive import Archive
from elpack.steps.images.image_keys import image_key
from elpack.steps.images.subjects import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.sigstore import SigningKey
    from elpack.steps.airgap.archive import Member
    from elpack.workspace import Workspace

FOLDER = "images"


@dataclass(frozen=True, slots=True)
class Carried:
    """The images of a delivery: its files below ``images/``, their number, and the fingerprint of their key."""

    members: Mapping[str, Member] = field(default_factory=dict)
    count: int = 0
    fingerprint: str = ""


def carried_images(results: Path, release: Release, workspace: Workspace) -> Carried:
    """Return the images that lie with some results, each signed as it is for a registry.

    Raises `ImageError` for an archive that is none, `SigningError` when the key cannot be used.
    """
    archives = sorted((results / FOLDER).glob(f"*{SUFFIX}"))
    if not archives:
        return Carried()
    key = image_key(workspace, release.images or Images())
    beside = (path for path in sorted((results / FOLDER).iterdir()) if path.is_file() and path.suffix != ".pub")
    members = {str(path.relative_to(results)): member(path) for path in beside}
    members[f"{FOLDER}/key.pub"] = text_member(key.public.pem.decode())
    lines = []
    for path in archives:
        archive, reference = Archive(path), _reference(path, release)
        lines.append(f"{path.name} {reference} {archive.digest}\n")
        members |= dict(_signatures(archive, reference, key))
    members[f"{FOLDER}/LIST"] = text_member("".join(lines))
    return Carried(members, len(archives), key.public.fingerprint)


def _reference(path: Path, release: Release) -> str:
    """Return the name with tag that signatures give an image: where it is pushed, else one of no registry."""
    tag = tag_of(release.application.name, path.name.removesuffix(SUFFIX))
    repository = release.images.repository if release.images else ""
    return f"{repository or f'localhost/{release.name}'}:{tag}"


def _signatures(archive: Archive, reference: str, key: SigningKey) -> Iterator[tuple[str, Member]]:
    """Yield, for all that a policy may ask a signature of, what was signed and the signature, by their paths."""
    for digest in (archive.digest, *(image.descriptor.digest for image in archive.images)):
        payload = simple_signing(reference, digest)
        stem = f"{FOLDER}/signatures/{digest.removeprefix('sha256:')}"
        yield f"{stem}.json", text_member(payload.decode())
        yield f"{stem}.sig", text_member(base64.b64encode(key.sign(payload)).decode() + "\n")

"""The images of a delivery: their archives as they are, and a signature for each manifest in them."""

from __future__ import annotations

import base64
import re
import tarfile
from typing import TYPE_CHECKING, Any

from elpack.errors import ImageError, Problem
from elpack.images.model import Images
from elpack.images.oci import OciDigest
from elpack.sigstore import simple_signing
from elpack.steps.airgap.archive import member, text_member
from elpack.steps.images.image_keys import image_key
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from elpack.config import Release
    from elpack.steps.airgap.archive import Member
    from elpack.workspace import Workspace

_SUFFIX = ".oci.tar"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_LARGEST = 4 << 20
_LISTS = ("application/vnd.oci.image.index.v1+json",)


def image_members(results: Path, release: Release, workspace: Workspace) -> tuple[dict[str, Member], int, str]:
    """Return what lies in ``images/``, how many images that are, and the fingerprint of the key that signed them.

    Raises `ImageError` for an archive that is none, `SigningError` when the key cannot be used.
    """
    archives = sorted((results / "images").glob(f"*{_SUFFIX}"))
    if not archives:
        return {}, 0, ""
    images = release.images or Images()
    key = image_key(workspace, images)
    members = {"images/key.pub": text_member(key.public.pem.decode())}
    for path in archives:
        members[f"images/{path.name}"] = member(path)
        reference = f"{repository_of(release)}:{_tag(path, release)}"
        for digest in _digests(path):
            payload, name = simple_signing(reference, digest), f"images/signatures/{digest.partition(':')[2]}"
            members[f"{name}.json"] = text_member(payload.decode())
            members[f"{name}.sig"] = text_member(base64.b64encode(key.sign(payload)).decode() + "\n")
    return members, len(archives), key.public.fingerprint


def repository_of(release: Release) -> str:
    """Return the repository that signatures name: where images are pushed, else one of no registry."""
    named = release.images.repository if release.images else ""
    return named or f"localhost/{release.name}"


def _tag(path: Path, release: Release) -> str:
    prefix = f"{release.application.rpm}-"
    name = path.name.removesuffix(_SUFFIX)
    if not name.startswith(prefix):
        raise ImageError(Problem(f"its name does not begin with {prefix}", str(path), fix="elpack image build"))
    return name.removeprefix(prefix)


def _digests(path: Path) -> list[OciDigest]:
    """Return the digests of all that a policy may ask a signature of: indexes and manifests."""
    try:
        with tarfile.open(path, "r:") as archive:
            return sorted({*_named(archive, "index.json")})
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"it is no OCI archive: {type(error).__name__}: {error}"
        raise ImageError(Problem(what, str(path), fix="elpack image build")) from error


def _named(archive: tarfile.TarFile, name: str) -> Iterator[OciDigest]:
    for entry in _document(archive, name)["manifests"]:
        if not _DIGEST.match(digest := str(entry["digest"])):
            raise ValueError(f"{digest!r:.100} is no digest")
        yield OciDigest(digest)
        if entry["mediaType"] in _LISTS:
            yield from _named(archive, f"blobs/{digest.replace(':', '/')}")


def _document(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return json_value(file.read(_LARGEST))

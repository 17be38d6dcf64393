"""Which key signs images: the release file's, one that is named, or the throwaway key of snapshots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_bytes
from elpack.errors import Problem, SigningError
from elpack.sigstore import is_encrypted, new_key, read_signing_key, read_verifying_key
from elpack.store.lock import held

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.config import Release
    from elpack.images.model import Images
    from elpack.sigstore import SigningKey, VerifyingKey
    from elpack.workspace import Workspace

PASSPHRASE = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable
_LARGEST = 1 << 16


def image_key(
    workspace: Workspace, images: Images, named: str = "", passphrase: Callable[[Path], bytes] | None = None
) -> SigningKey:
    """Return the key that signs images: `named`, else [images] key, else the throwaway key, made when first needed.

    `named` is a path; [images] key is relative to the release file. passphrase: asked for the key at a path if that is
    encrypted; without it COSIGN_PASSWORD counts, and what is not there is an error. Raises `SigningError`.
    A throwaway key (`SigningKey.throwaway`) is `image.key` in the work folder, mode 0600, PKCS#8.
    """
    asked = passphrase or from_environment
    if named or images.key:
        path = Path(named).expanduser() if named else key_path(workspace, images.key)
        return _read(path, asked)
    path = workspace.image_key
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.with_name(f"{path.name}.lock"), wait=None):
        if not path.exists():
            _write(path, new_key())
    return _read(path, asked)


def public_key(workspace: Workspace, images: Images) -> VerifyingKey | None:
    """Return what customers verify by, without a passphrase: `<key>.pub` beside the key, or out of the key itself.

    None where the key is encrypted and no file beside it tells. Raises `SigningError` when one of them is no such key.
    """
    if not images.key:
        return image_key(workspace, images).public
    path = key_path(workspace, images.key)
    if (beside := path.with_suffix(".pub")).is_file():
        return read_verifying_key(_content(beside, "the public key of images"), str(beside))
    content = _content(path, "the key of images")
    return None if is_encrypted(content) else read_signing_key(content, bytes, str(path)).public


@dataclass(frozen=True, slots=True)
class ShownKey:
    """The key of images as people see it. fingerprint: empty where only its passphrase would tell."""

    path: str
    fingerprint: str
    state: str
    problems: tuple[Problem, ...] = ()


def shown_key(workspace: Workspace, images: Images) -> ShownKey:
    """Return the key that signs images, without asking for a passphrase; the throwaway key is made if there is none."""
    path = str(key_path(workspace, images.key) if images.key else workspace.image_key)
    try:
        public = public_key(workspace, images)
        state = "good" if images.key else "THROWAWAY"
        return ShownKey(path, public.fingerprint if public else "", state if public else "encrypted")
    except SigningError as error:
        return ShownKey(path, "", "refused", error.problems)


def handed_key(workspace: Workspace, release: Release) -> Path | None:
    """Write the public key that is handed over with images, as ``<release>.pub``, and return where that is.

    None where only a passphrase would tell it. Raises `SigningError`.
    """
    public = public_key(workspace, release.images) if release.images else None
    if public is None:
        return None
    path = workspace.work / "images" / f"{release.name}.pub"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != public.pem:
        write_bytes(path, public.pem)
    return path


def key_path(workspace: Workspace, named: str) -> Path:
    """Return where the key of the release file lies."""
    return workspace.home / Path(named).expanduser()


def from_environment(path: Path) -> bytes:
    """Return the passphrase of a key that nobody can be asked for. Raises `SigningError`."""
    found = os.environ.get(PASSPHRASE)
    if found is None:
        fix = f"--passphrase-file FILE, or {PASSPHRASE} in the environment"
        raise SigningError(
            Problem("the key is encrypted, and nobody can be asked for its passphrase", str(path), fix=fix)
        )
    return found.encode()


def from_file(path: Path) -> bytes:
    """Return the passphrase that stands in the first line of a file. Raises `SigningError`."""
    content = _content(path, "the passphrase")
    return content.splitlines()[0] if content else b""


def _read(path: Path, passphrase: Callable[[Path], bytes]) -> SigningKey:
    return read_signing_key(_content(path, "the key of images"), lambda: passphrase(path), str(path))


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        fix = "docs/how-to/push-and-sign-images.md tells how to make one"
        raise SigningError(Problem(f"{what} cannot be read: {error.strerror}", str(path), fix=fix)) from error


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, at no moment."""
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)

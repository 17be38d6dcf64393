"""One repository of a container registry (OCI distribution specification 1.1): what it holds, and what is put there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from elpack.fetch.transport import Patience
    from elpack.images.oci import OciDigest


@contextmanager
def repository_at(name: str, *, patience: Patience | None = None) -> Iterator[Repository]:
    """Connect to a repository, ``host[:port]/path``, with the user's usual credentials and certificates.

    Credentials: REGISTRY_AUTH_FILE, or the files of podman and docker, and the helpers they name. Certificates: those
    of the system and of ``containers/certs.d/<host:port>``. Plain http is spoken to loopback alone, and only if TLS is
    not. Raises `RegistryError` in each of its uses with what is wrong and what to do; no text of it holds a secret.
    """
    raise NotImplementedError
    yield


class Repository:
    """A repository that is connected to. All methods raise `RegistryError`."""

    name: str

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """Return a manifest's bytes and media type by tag or digest, None where there is none.

        By digest, what comes has that digest; by tag, its digest is that of the bytes.
        """
        raise NotImplementedError

    def digest(self, reference: str) -> OciDigest | None:
        """Return the digest of the manifest that a tag names, by its bytes; None where there is none."""
        raise NotImplementedError

    def has_blob(self, digest: OciDigest, size: int | None = None) -> bool:
        """Tell whether a blob is there, with this size in bytes."""
        raise NotImplementedError

    def blob(self, digest: OciDigest, limit: int) -> bytes:
        """Return a blob of at most `limit` bytes, which has that digest."""
        raise NotImplementedError

    def put_blob(
        self, digest: OciDigest, size: int, content: Callable[[], Iterable[bytes]], told: Callable[[int], None]
    ) -> bool:
        """Put a blob there unless it is, and return whether it was sent.

        content: gives the bytes in pieces, anew for each attempt. told: how many bytes were sent so far.
        """
        raise NotImplementedError

    def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Put a manifest there, by tag or by its digest. What it names must be there already."""
        raise NotImplementedError

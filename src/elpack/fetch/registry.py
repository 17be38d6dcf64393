"""One repository of a container registry (OCI distribution specification 1.1): what it holds, and what is put there."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from elpack.errors import Problem, RegistryError
from elpack.fetch.certificates import context_for
from elpack.fetch.connections import Request
from elpack.fetch.credentials import User, credentials_for
from elpack.fetch.registry_door import LARGEST_MANIFEST, Door
from elpack.fetch.transport import Patience, TemporaryFailureError, url_fault
from elpack.images.oci import INDEX, MANIFEST, digest_of
from elpack.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from elpack.images.oci import OciDigest
    from elpack.run import Runner

_DOCKER = "application/vnd.docker.distribution.manifest"
_MANIFESTS = ", ".join((INDEX, MANIFEST, f"{_DOCKER}.list.v2+json", f"{_DOCKER}.v2+json"))
_NAME = re.compile(r"[A-Za-z0-9.:\[\]-]+(?:/[a-z0-9][a-z0-9._-]*)+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NO_REFERRERS = (400, 404, 405)
_OK, _CREATED, _ACCEPTED, _MISSING = 200, 201, 202, 404


@contextmanager
def repository_at(name: str, *, patience: Patience | None = None, runner: Runner = run) -> Iterator[Repository]:
    """Connect to a repository, ``host[:port]/path``, with the user's usual credentials and certificates.

    Credentials: REGISTRY_AUTH_FILE, or the files of podman and docker, and the helpers they name. Certificates: those
    of the system and of ``containers/certs.d/<host:port>``. Plain http is spoken to loopback alone, and only if TLS is
    not. Raises `RegistryError` in each of its uses with what is wrong and what to do; no text of it holds a secret.
    """
    host, _, path = name.partition("/")
    if not _NAME.fullmatch(name) or url_fault(f"https://{host}/"):
        what = f"{name!r:.200} names no repository of a registry"
        raise RegistryError(Problem(what, fix="registry.example.org/path/name, without tag"))
    credentials = credentials_for(name, User(os.environ, Path.home(), runner))
    door = Door(host, path, credentials, context_for(host, os.environ, Path.home()), patience or Patience())
    try:
        yield Repository(name, door)
    finally:
        door.close()


class Repository:
    """A repository that is connected to. All methods raise `RegistryError`."""

    def __init__(self, name: str, door: Door) -> None:
        self.name = name
        self._door = door

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """Return a manifest's bytes and media type by tag or digest, None where there is none.

        By digest, what comes has that digest; by tag, its digest is that of the bytes.
        """
        answer = self._door.ask("GET", f"manifests/{reference}", {_OK, _MISSING}, accept=_MANIFESTS)
        if answer.status == _MISSING:
            return None
        found = digest_of(answer.body)
        for wanted in (reference, answer.headers.get("Docker-Content-Digest", "")):
            if _DIGEST.fullmatch(wanted) and wanted != found:
                what = f"the registry gave {found} for {wanted}"
                raise RegistryError(Problem(what, self.name, "it or something on the way changes manifests"))
        return answer.body, answer.headers.get_content_type()

    def digest(self, reference: str) -> OciDigest | None:
        """Return the digest of the manifest that a tag names, by its bytes; None where there is none."""
        found = self.manifest(reference)
        return digest_of(found[0]) if found else None

    def keeps_referrers(self, digest: OciDigest) -> bool:
        """Tell whether the registry itself lists what refers to a manifest (specification 1.1); older ones do not."""
        answer = self._door.ask("GET", f"referrers/{digest}", {_OK, *_NO_REFERRERS}, accept=INDEX)
        return answer.status == _OK and answer.headers.get_content_type() == INDEX

    def has_blob(self, digest: OciDigest, size: int | None = None) -> bool:
        """Tell whether a blob is there, with this size in bytes."""
        answer = self._door.ask("HEAD", f"blobs/{digest}", {_OK, _MISSING})
        length = answer.headers.get("Content-Length", "")
        return answer.status == _OK and (size is None or not length or length == str(size))

    def blob(self, digest: OciDigest, limit: int) -> bytes:
        """Return a blob of at most `limit` bytes, which has that digest."""
        answer = self._door.ask("GET", f"blobs/{digest}", {_OK, _MISSING}, limit=limit)
        if answer.status == _MISSING:
            raise RegistryError(Problem(f"there is no blob {digest}", self.name, fix="push it again"))
        if (found := digest_of(answer.body)) != digest:
            raise RegistryError(Problem(f"the registry gave {found} for {digest}", self.name))
        return answer.body

    def put_blob(
        self,
        digest: OciDigest,
        size: int,
        content: Callable[[], Iterable[bytes]],
        told: Callable[[int], None] = lambda _: None,
    ) -> bool:
        """Put a blob there unless it is, and return whether it was sent.

        content: gives the bytes in pieces, anew for each attempt. told: how many bytes were sent so far.
        """
        if self.has_blob(digest, size):
            return False

        def pieces() -> Iterator[bytes]:
            sent = 0
            for piece in content():
                yield piece
                sent += len(piece)
                told(sent)

        self._door.retrying(lambda: self._upload(digest, size, pieces))
        return True

    def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Put a manifest there, by tag or by its digest. What it names must be there already."""
        if len(content) > LARGEST_MANIFEST:
            raise RegistryError(Problem(f"a manifest has more than {LARGEST_MANIFEST} bytes", self.name))
        headers = {"Content-Type": media_type, "Content-Length": str(len(content))}
        url = self._door.url(f"manifests/{reference}")
        request = Request("PUT", url, headers, lambda: (content,))
        answer = self._door.retrying(lambda: self._door.once(request, {_OK, _CREATED, _ACCEPTED}))
        found, wanted = answer.headers.get("Docker-Content-Digest", ""), digest_of(content)
        if found not in {"", wanted}:
            what = f"the registry took {wanted} for {found}"
            raise RegistryError(Problem(what, f"{self.name}: {reference}", "it changes manifests"))

    def _upload(self, digest: OciDigest, size: int, content: Callable[[], Iterable[bytes]]) -> None:
        """Begin an upload and send all of it. One that broke off is begun anew: the registry may have forgotten it."""
        start = self._door.url("blobs/uploads/")
        begun = self._door.once(Request("POST", start, {"Content-Length": "0"}), {_ACCEPTED})
        place = self._door.leads_to(begun.headers.get("Location", ""), start)
        url = f"{place}{'&' if '?' in place else '?'}digest={quote(digest, safe='')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        done = self._door.once(Request("PUT", url, headers, content), {_CREATED, _MISSING})
        if done.status == _MISSING:
            raise TemporaryFailureError("the registry forgot an upload that was under way")

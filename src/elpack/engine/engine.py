"""What elpack asks of podman: build, save, load, pull, tag, remove. Containers are podman-py's (`Engine.client`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from podman.errors import NotFound

from elpack.engine import archive
from elpack.engine.building import PARTS, Order, build
from elpack.engine.calls import call, events, post, streamed, told
from elpack.engine.lately import remove_unused, stamp
from elpack.errors import EngineError, ImageError, Problem, RegistryError
from elpack.images.oci import Platform, oci_digest, platform_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from podman import PodmanClient

    from elpack.images.oci import ImageArchive, OciDigest
    from elpack.run import Runner

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Engine:
    """A connection to podman. Images are named by id (64 hexadecimal digits), or by name with tag or digest.

    url: where it listens; version: podman's. ours: the service and its storage are elpack's own, not the user's.
    layers: compressed layers, kept by digest. environment: what podman and skopeo are to be run with to see the same
    storage; None where it is not ours. notices: what the user should know.
    """

    client: PodmanClient
    url: str
    version: tuple[int, ...]
    ours: bool
    layers: Path
    runner: Runner
    environment: Mapping[str, str] | None = None
    notices: tuple[str, ...] = ()

    def build(
        self,
        context: Path,
        containerfile: Path,
        *,
        platform: str,
        timestamp: int,
        progress: Callable[[str], None],
        log: Path,
    ) -> str:
        """Build an image without network, and return its id. Nothing is pulled: bases are there.

        Tars that the Containerfile adds first, ``ADD some.tar /``, become layers as they are, with the times in them.

        platform: ``linux/amd64``. timestamp: seconds since 1970, of the image and of all that it adds. progress gets
        each line as it comes, log all of them. RUN sees the context by ``--mount=type=bind,target=…``. Raises
        `ImageError` with the end of the log, `DiskFullError`.
        """
        text = containerfile.read_text(encoding="utf-8")
        return build(self, Order(context, text, platform, timestamp, progress, log))

    def save(self, image: str, into: Path, annotations: Mapping[str, str] | None = None) -> ImageArchive:
        """Write an image as an OCI archive: an index with one manifest, layers gzipped by us, the same bytes each time.

        annotations: of index and manifest; by default the labels `org.opencontainers.image.…`. The archive's image has
        a configuration, and so an id, of its own: see `canonical_config`. `load` gives that one. Raises `ImageError`
        when its architecture is not that of the programs in it.
        """
        return archive.save(self, image, into, annotations)

    def load(self, archive: Path, content: Iterator[bytes] | None = None) -> str:
        """Take an OCI archive into the storage and return the image's id. Raises `ImageError`.

        content: what podman gets instead of the file, if that has an index: out of one it takes no other platform's.
        """
        try:
            with streamed(self.client, "POST", "/images/load", {}, content or _chunks(archive)) as response:
                answer = [name for event in events(response) for name in event.get("Names") or ()]
        except EngineError as error:
            raise ImageError(Problem(f"podman cannot load it: {error.problems[0].what}", str(archive))) from error
        if len(answer) != 1 or not isinstance(answer[0], str):
            raise ImageError(Problem(f"podman loaded {len(answer)} images of it", str(archive), "expected one"))
        return self.id_of(answer[0].removeprefix("sha256:"))

    def has(self, name: str) -> bool:
        """Tell whether the storage holds an image."""
        return self._found(name) is not None

    def id_of(self, name: str) -> str:
        """Return an image's id. Raises `ImageError` when there is none of that name."""
        return str(self.inspect(name)["Id"])

    def inspect(self, name: str) -> Mapping[str, Any]:
        """Return what podman knows of an image. Raises `ImageError` when there is none of that name."""
        found = self._found(name)
        if found is None:
            raise ImageError(Problem("the engine has no such image", name))
        return found

    def platform(self, image: str) -> Platform:
        """Return what an image is for. Raises `ImageError`."""
        found = self.inspect(image)
        return platform_of(f"{found.get('Os')}/{found.get('Architecture')}")

    def need_platform(self, image: str, platform: str) -> None:
        """Raise `ImageError` when an image is for another platform."""
        expected, found = platform_of(platform), self.platform(image)
        if (expected.os, expected.architecture) != (found.os, found.architecture):
            raise ImageError(Problem(f"it is an image for {found}, not for {expected}", image))

    def pull(
        self, reference: str, platform: str, digest: OciDigest | None = None, *, tls_verify: bool | None = None
    ) -> str:
        """Fetch ``registry/name[:tag][@digest]`` and return its id, unless it is there.

        digest: of the manifest, or of an index that leads to it. Raises `RegistryError` when it cannot be had,
        `ImageError` when it is for another platform.
        """
        wanted = platform_of(platform)
        if digest:
            reference = f"{reference.partition('@')[0]}@{oci_digest(digest)}"
        if self.has(reference):
            self.need_platform(reference, platform)
            return self.id_of(reference)
        params = {"reference": reference, "policy": "missing", "OS": wanted.os, "Arch": wanted.architecture}
        if tls_verify is not None:
            params["tlsVerify"] = str(tls_verify).lower()
        image, errors = "", []
        try:
            with streamed(self.client, "POST", "/images/pull", params) as response:
                for event in events(response):
                    errors += [str(event["error"])] if event.get("error") else []
                    image = str(event.get("id") or image)
        except EngineError as error:
            errors.append(error.problems[0].what)
        if errors or not image:  # podman 4.3 answers a refused pull with status 200
            said = "\n".join(errors) or "podman gives no reason"
            raise RegistryError(Problem(f"it cannot be pulled\n{said}", reference))
        self.need_platform(image, platform)
        return image

    def tag(self, image: str, name: str) -> None:
        """Give an image a name ``repository:tag``, which another one may have had before."""
        repository, _, tag = name.rpartition(":")
        call(self.client, "POST", f"/images/{quote(image, safe='')}/tag", {"repo": repository, "tag": tag})

    def remove(self, image: str) -> None:
        """Remove an image with all its names, and containers of it; none there is fine."""
        with suppress(NotFound), told(f"removal of {image}"):
            response = self.client.api.delete(f"/images/{quote(image, safe='')}", params={"force": "true"})
            if response.status_code != _NOT_FOUND:
                response.raise_for_status()

    def names(self) -> Iterator[str]:
        """Yield the names of all images."""
        for image in self._images() or ():
            yield from image.get("Names") or ()

    def _images(self) -> Any:
        for _ in range(_LOOKS):
            # podman fails where an image that it is about to tell of is removed meanwhile
            with suppress(EngineError):
                return call(self.client, "GET", "/images/json")
        return call(self.client, "GET", "/images/json")

    def prune(self) -> None:
        """Remove what no name leads to, and the layers that no build used for two weeks."""
        remove_unused(self.layers)
        for name in list(self.names()):
            if name.startswith(f"{PARTS}:") and not stamp(self.layers, name).exists():
                call(self.client, "DELETE", f"/images/{quote(name, safe='')}")
        if self.ours:
            call(self.client, "POST", "/images/prune")

    def export_rootfs(self, image: str, into: Path) -> None:
        """Write the root file system of an image as one tar, the content of all layers merged."""
        made = post(self.client, "/containers/create", {"image": self.id_of(image), "command": ["/"]})
        try:
            with (
                streamed(self.client, "GET", f"/containers/{made['Id']}/export", {}) as response,
                into.open("wb") as out,
            ):
                for chunk in response.iter_content(_CHUNK):
                    out.write(chunk)
        finally:
            call(self.client, "DELETE", f"/containers/{made['Id']}", {"force": "true"})

    def _found(self, name: str) -> Mapping[str, Any] | None:
        with told(f"image {name}"):
            response = self.client.api.get(f"/images/{quote(name, safe='')}/json")
            if response.status_code == _NOT_FOUND:
                return None
            response.raise_for_status()
            value = response.json()
            return value if isinstance(value, dict) else None


_NOT_FOUND = 404
_LOOKS = 2


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk

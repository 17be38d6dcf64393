"""Containers for as long as something is tried in them: started hardened, watched, logged, and gone afterwards."""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from podman.errors import APIError, NotFound

from elpack.engine.calls import PODMAN_ERRORS
from elpack.images.container import BRIDGE, HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from podman import PodmanClient
    from podman.domain.containers import Container as Handle

    from elpack.images.container import Container

OWNER = "io.elpack.smoke"
"""The label of our containers and volumes; its value tells whose they are."""
_PULSE = 0.1
_LONGEST_PAUSE = 1.0
_LOG_BYTES = 64 << 20
_SPARE_SECONDS = 60
_KILLED = 137


class StepError(Exception):
    """Something that was tried did not go as it should; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Running:
    """A container that was started. `asked` is how; its log goes to `log` whenever it is saved.

    refused: what podman said where it did not start in the way that was asked for first.
    """

    client: PodmanClient
    handle: Handle
    asked: Container
    log: Path
    refused: str = ""

    def state(self) -> dict[str, Any]:
        """Return its state as podman tells it now."""
        found: dict[str, Any] = self.handle.inspect()["State"]
        return found

    def end(self, seconds: float) -> int:
        """Wait until it ended by itself, and return its exit code. Raises `StepError` when it does not."""
        deadline = time.monotonic() + seconds
        while not _has_ended(state := self.state()):
            if time.monotonic() > deadline:
                raise StepError(f"did not end within {seconds:.0f} s")
            time.sleep(_PULSE)
        return int(state["ExitCode"])

    def healthy(self, seconds: float) -> None:
        """Ask until podman's own health check says healthy. Raises `StepError` when it says otherwise, or too late."""
        deadline, pause = time.monotonic() + seconds, _PULSE
        while True:
            answer = self.client.api.get(f"/containers/{self.handle.id}/healthcheck")
            state = self.state()
            if not _has_ended(state):  # of one that ended while it was asked, podman says that it cannot be asked
                answer.raise_for_status(NotFound)
            health = state.get("Health") or state.get("Healthcheck") or {}
            said = (health.get("Log") or [{}])[-1].get("Output", "")
            if health.get("Status") == "healthy":
                return
            if _has_ended(state):
                raise StepError(f"ended with {state['ExitCode']} before it was healthy")
            if health.get("Status") == "unhealthy":
                raise StepError(f"is unhealthy: {said}")
            if time.monotonic() > deadline:
                raise StepError(f"was not healthy within {seconds:.0f} s: {said}")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)  # a look costs what the application needs to start

    def stop(self, seconds: int) -> int:
        """Send the image's stop signal, as `podman stop` does, and return the exit code.

        Raises `StepError` when it had to be killed.
        """
        if _has_ended(state := self.state()):
            raise StepError(f"had ended with {state['ExitCode']} before it was stopped")
        path, wait = f"/containers/{self.handle.id}/stop", seconds + _SPARE_SECONDS
        self.client.api.post(path, params={"timeout": seconds}, timeout=wait).raise_for_status(NotFound)
        code = self.end(_SPARE_SECONDS)
        if code == _KILLED:
            raise StepError(f"did not end within {seconds} s of its stop signal, and was killed")
        return code

    def ports(self) -> dict[int, int]:
        """Return its ports and what each is published as on loopback; on the host's network they are the same."""
        if self.asked.network == HOST:
            return {port: port for port in self.asked.ports}
        published = self.handle.inspect()["NetworkSettings"]["Ports"] or {}
        found = {int(name.partition("/")[0]): places for name, places in published.items()}
        return {port: int(places[0]["HostPort"]) for port, places in found.items() if places}

    def processes(self) -> list[dict[str, str]]:
        """Return its processes: user, capabilities and name, by podman's own titles."""
        answer = self.client.api.get(
            f"/containers/{self.handle.id}/top", params={"ps_args": "user,capeff,capbnd,comm", "stream": "false"}
        )
        answer.raise_for_status(NotFound)
        table = answer.json()
        return [dict(zip(table["Titles"], row, strict=True)) for row in table["Processes"]]

    def file(self, path: str) -> bytes:
        """Return the content of a file in it, or below its volume. Raises `StepError` when there is none."""
        try:
            chunks, _ = self.handle.get_archive(path)
        except NotFound:
            raise StepError(f"there is no {path}") from None
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            content = archive.extractfile(archive.next() or "")
            return content.read() if content else b""

    def save_log(self) -> str:
        """Write what it said so far, as much as is reasonable, and return it."""
        with self.log.open("wb") as file:
            chunks = self.handle.logs(stdout=True, stderr=True, stream=True, follow=False)
            for chunk in [chunks] if isinstance(chunks, bytes) else chunks:
                file.write(chunk)
                if file.tell() > _LOG_BYTES:
                    break
        return self.log.read_text(errors="replace")


@contextmanager
def started(client: PodmanClient, image: str, container: Container, log: Path) -> Iterator[Running]:
    """Start a container and remove it at the end, whatever happens; its log is kept.

    Raises `StepError` when podman does not start it.
    """
    with ExitStack() as stack:
        running = _start(client, image, container, log, stack)
        try:
            yield running
        finally:
            with suppress(*PODMAN_ERRORS):
                running.save_log()


@contextmanager
def volume(client: PodmanClient, owner: str) -> Iterator[str]:
    """Make a volume with a name that nobody has, and remove it at the end."""
    name = f"elpack-smoke-{uuid.uuid4().hex[:12]}"
    made = client.volumes.create(name, labels={OWNER: owner})
    try:
        yield name
    finally:
        with suppress(*PODMAN_ERRORS):
            made.remove(force=True)


def sweep(client: PodmanClient, owner: str) -> int:
    """Remove what a killed run of the same owner left, and return how many containers that were.

    The caller holds the lock that says that no other run of this owner is at work.
    """
    label = f"{OWNER}={owner}"
    left = client.containers.list(all=True, filters={"label": label})  # podman-py finds nothing by a list
    for container in left:
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for old in client.volumes.list(filters={"label": label}):
        with suppress(NotFound):
            old.remove(force=True)
    return len(left)


def _start(client: PodmanClient, image: str, container: Container, log: Path, stack: ExitStack) -> Running:
    """Start it; once more where podman stumbled, and on the host's network where the machine has no bridge."""
    other = replace(container, network=HOST) if container.network == BRIDGE else container
    tries, said = (container, container, other), ""
    for number, wanted in enumerate(tries, 1):
        with ExitStack() as attempt:
            try:
                handle = client.containers.create(image, **wanted.arguments())
                attempt.callback(_remove, handle)
                handle.start()
            except APIError as error:
                said = said or str(error.explanation or error)
                if number == len(tries):
                    raise StepError(f"does not start: {said}") from error
                continue
            stack.push(attempt.pop_all())
            return Running(client, handle, wanted, log, said)
    raise AssertionError


def _remove(handle: Handle) -> None:
    with suppress(*PODMAN_ERRORS):
        handle.remove(force=True, v=True)


def _has_ended(state: dict[str, Any]) -> bool:
    return str(state["Status"]) in {"exited", "stopped", "dead"}

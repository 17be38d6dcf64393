"""How a container of an image is run, hardened, and what an image must say of itself so that it can be."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem
from elpack.images.annotations import HEALTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from elpack.images.model import Images

BRIDGE, HOST, NONE = "bridge", "host", "none"
LOOPBACK = "127.0.0.1"
HEALTH_TIMEOUT, HEALTH_RETRIES = 10, 3
"""Seconds for one look at the health, and how many bad ones in a row are too many."""
_SECOND = 10**9
_MEMORY = ("/run", "/tmp", "/var/tmp")  # noqa: S108 - of the container; podman's own choice for a read-only root


@dataclass(frozen=True, slots=True)
class Container:
    """One container, with no capability and no way to get one.

    name: unique on the host. entrypoint and command: the image's own where they are empty. ports: published on
    loopback, as what is free. volume: its name and its place. mounts: files and folders of the host by their place, all
    read-only. read_only: of the root; either way /tmp and the like are in memory. health: what tells that all is well;
    start_period: seconds in which it need not; health_timeout: seconds for one look. owner: by what it is found when
    its run was killed.
    """

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    directory: str = ""
    network: str = NONE
    ports: tuple[int, ...] = ()
    volume: tuple[str, str] | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = True
    health: tuple[str, ...] = ()
    start_period: int = 0
    health_timeout: int = HEALTH_TIMEOUT
    owner: tuple[str, str] = ("", "")

    def arguments(self) -> dict[str, Any]:
        """Return what podman-py's `containers.create` gets, behind the image."""
        mounts: list[dict[str, Any]] = [
            {"type": "bind", "source": source, "target": place, "read_only": True, "relabel": "z"}
            for place, source in sorted(self.mounts.items())
        ]
        if not self.read_only:
            mounts += [{"type": "tmpfs", "target": place} for place in _MEMORY]
        found: dict[str, Any] = {
            "name": self.name,
            "environment": dict(self.environment),
            "network_mode": self.network,
            "read_only": self.read_only,
            "read_write_tmpfs": self.read_only,
            "cap_drop": ["all"],
            "no_new_privileges": True,
            "mounts": mounts,
            "log_config": {"Type": "json-file"},
        }
        optional: dict[str, Any] = {
            "entrypoint": list(self.entrypoint),
            "command": list(self.command),
            "working_dir": self.directory,
            "volumes": {self.volume[0]: {"bind": self.volume[1]}} if self.volume else {},
            "ports": {f"{port}/tcp": (LOOPBACK, 0) for port in self._published},
            "labels": dict([self.owner]) if self.owner[0] else {},
            "healthcheck": self._health() if self.health else {},
        }
        return found | {key: value for key, value in optional.items() if value}

    def typed(self, image: str) -> str:
        """Return the command by which a person runs the same."""
        words = ["podman", "run", "--rm", "--cap-drop=all", "--security-opt=no-new-privileges"]
        words += [f"--network={self.network}", *(["--read-only"] if self.read_only else [])]
        words += [f"--publish={LOOPBACK}::{port}" for port in self._published]
        words += [f"--volume={':'.join(self.volume)}"] if self.volume else []
        words += [f"--volume={source}:{place}:ro,z" for place, source in sorted(self.mounts.items())]
        words += [f"--tmpfs={place}" for place in (() if self.read_only else _MEMORY)]
        words += [f"--env={key}={value}" for key, value in sorted(self.environment.items())]
        words += [f"--workdir={self.directory}"] if self.directory else []
        words += [f"--entrypoint={json.dumps(self.entrypoint)}"] if self.entrypoint else []
        return shlex.join([*words, image, *self.command])

    @property
    def _published(self) -> tuple[int, ...]:
        return self.ports if self.network == BRIDGE else ()

    def _health(self) -> dict[str, Any]:
        """Return the health check without a timer of systemd's, which not every machine has: who waits asks."""
        return {
            "Test": ["CMD", *self.health],
            "Interval": 0,
            "Timeout": self.health_timeout * _SECOND,
            "StartPeriod": self.start_period * _SECOND,
            "Retries": HEALTH_RETRIES,
        }


def health_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the health command that an image's label holds. Raises ValueError with a sentence about the label."""
    try:
        words = json.loads(labels[HEALTH])
    except KeyError:
        raise ValueError(f"it has no label {HEALTH}") from None
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f"its label {HEALTH} is no argument vector in JSON: {labels[HEALTH]:.200}")
    return tuple(words)


def misfits(config: Mapping[str, Any], images: Images) -> Iterator[Problem]:
    """Yield where an image's configuration, as podman inspects it, is not what the release asked for."""
    user = str(config.get("User") or "")
    if user not in {str(images.user), f"{images.user}:{images.user}"}:
        who = f"user {user}" if user else "root, as no user is set"
        yield Problem(f"it runs as {who}, expected {images.user}:{images.user}")
    if not config.get("Entrypoint"):
        yield Problem("it has no entry point")
    if (signal := config.get("StopSignal") or "SIGTERM") != images.stop_signal:
        yield Problem(f"its stop signal is {signal}, expected {images.stop_signal}")
    if images.data not in (config.get("Volumes") or {}):
        yield Problem(f"it declares no volume {images.data}")
    for port in images.ports:
        if f"{port}/tcp" not in (config.get("ExposedPorts") or {}):
            yield Problem(f"it does not tell that it listens on port {port}")
    if images.health:
        try:
            health_of(config.get("Labels") or {})
        except ValueError as error:
            yield Problem(str(error))


def powers(processes: list[dict[str, str]]) -> tuple[str, ...]:
    """Return the processes that are root's, or have or could get a capability; of none at all, that there is none.

    processes: as `podman top` tells them, by its titles.
    """
    if not processes:
        return ("there is none",)
    return tuple(
        ", ".join(f"{title.lower()} {value}" for title, value in process.items())
        for process in processes
        if process["USER"] in {"root", "0"} or {process["EFFECTIVE CAPS"], process["BOUNDING CAPS"]} != {"none"}
    )


def strangers(changes: list[dict[str, Any]], mounted: tuple[str, ...]) -> tuple[str, ...]:
    """Return what was written to a container's root, from podman's list of changes.

    Left out are the places that something is mounted at, podman's own files, and the folders that lead to either.
    """
    own = (*mounted, *_PODMANS)
    return tuple(
        sorted(
            f"{_KINDS.get(change['Kind'], '?')} {change['Path']}"
            for change in changes
            if not any(_within(change["Path"], place) for place in own)
            and not (change["Kind"] != _REMOVED and any(_within(place, change["Path"]) for place in own))
        )
    )


_REMOVED = 2
_KINDS = {0: "changed", 1: "added", _REMOVED: "removed"}
_PODMANS = (
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/run/.containerenv",
    "/run/secrets",
    "/dev",
    "/proc",
    "/sys",
)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")

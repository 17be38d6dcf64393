"""Units for podman's Quadlet: systemd runs an image as it was tried."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from elpack.images.container import HEALTH_RETRIES, HEALTH_TIMEOUT, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from elpack.images.running import Run

_SPARE_SECONDS = 15
_PULL_SECONDS = 600


def quadlet(run: Run) -> Mapping[str, str]:
    """Return the files for /etc/containers/systemd by name: a .container unit, and the .volume that it uses."""
    sections = {
        "Unit": (
            ("Description", _literal(run.title)),
            *((("Documentation", _literal(run.documentation)),) if run.documentation else ()),
            ("Wants", "network-online.target"),
            ("After", "network-online.target"),
        ),
        "Container": tuple(_container(run)),
        "Service": (
            ("Restart", "on-failure"),
            ("RestartSec", "2"),
            ("TimeoutStartSec", str(_PULL_SECONDS + run.images.start_timeout)),
            ("TimeoutStopSec", str(run.images.stop_timeout + _SPARE_SECONDS)),
        ),
        "Install": (("WantedBy", "multi-user.target"),),
    }
    return {
        f"{run.name}.container": _HEAD.format(version=run.version) + _text(sections),
        f"{run.name}.volume": _text({"Volume": (("VolumeName", run.name),)}),
    }


_HEAD = """\
# {version}. The image is named by its digest: a new version is a new file, and nothing updates itself.
# Needs podman 5.0 or later. What stops it is said by the image.

"""


def _container(run: Run) -> Iterator[tuple[str, str]]:
    images = run.images
    yield "Image", run.reference
    yield "ContainerName", run.name
    yield "User", str(images.user)
    yield "Group", str(images.user)
    yield "ReadOnly", "true"
    yield "NoNewPrivileges", "true"
    yield "DropCapability", "all"
    yield "Volume", f"{run.name}.volume:{images.data}"
    for place in sorted(run.mounts):
        yield "Volume", f"{place}:{place}:ro,Z"
    for port in images.ports:
        yield "PublishPort", f"{LOOPBACK}:{port}:{port}"
    yield "StopTimeout", str(images.stop_timeout)
    if run.health:
        yield "HealthCmd", _literal(json.dumps(run.health)).replace("$", "$$")
        yield "HealthInterval", f"{images.health_interval}s"
        yield "HealthTimeout", f"{HEALTH_TIMEOUT}s"
        yield "HealthRetries", str(HEALTH_RETRIES)
        yield "HealthStartPeriod", f"{images.start_timeout}s"
        yield "HealthOnFailure", "kill"
        yield "Notify", "healthy"


def _text(sections: Mapping[str, tuple[tuple[str, str], ...]]) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in pairs)]) for name, pairs in sections.items()]
    return "\n\n".join(parts) + "\n"


def _literal(text: str) -> str:
    """Write text so that systemd expands nothing in it, and goes on with no other line."""
    return text.replace("%", "%%").rstrip("\\")

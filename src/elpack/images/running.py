"""What is known of how an image is run, for the texts that say it to systemd and to Kubernetes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.images.model import Images

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,50}[a-z0-9])?\Z")
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*/[a-z0-9._/-]+@sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Run:
    """How one image is run, checked on construction.

    name: of unit, container, volume and of what Kubernetes makes. title: one line for people. reference: of the image,
    with host and digest, so that it is this one and no other. version: a text for people. health: the command that ends
    with 0 while all is well. mounts: by place in the image, the example that stands there until a user brings his own.

    Raises ValueError for what systemd or Kubernetes would misread.
    """

    name: str
    title: str
    reference: str
    version: str
    images: Images
    health: tuple[str, ...]
    documentation: str = ""
    mounts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"{self.name!r} cannot name a unit and what Kubernetes makes: small letters, digits, -")
        if not _REFERENCE.match(self.reference):
            raise ValueError(f"{self.reference!r} does not name an image with its host and its digest")
        for text in (self.title, self.version, self.documentation, *self.health):
            if not text.isprintable():
                raise ValueError(f"{text!r} holds control characters")
        bases = [place.rpartition("/")[2] for place in self.mounts]
        if len(set(bases)) < len(bases):
            raise ValueError(f"two mounted files have one name: {', '.join(sorted(bases))}")


def run_name(text: str) -> str:
    """Return a name as `Run` takes it: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52].rstrip("-") or "application"

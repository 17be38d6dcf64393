"""The [publish] table of the release file: under which address customers find what is published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from elpack.tables import Table

# what has no meaning of its own in a .repo file, in a shell line or in a template
_PLAIN = re.compile(r"[A-Za-z0-9._~:/@+\[\]-]+\Z")


@dataclass(frozen=True, slots=True)
class Publish:
    """Where customers come to. url: of the folder or server that is published to, without a slash at its end."""

    url: str = ""


def read_publish(table: Table) -> Publish:
    """Return where the release is published, nowhere if it does not say; mistakes are noted at their keys."""
    publish = Publish(table.parsed("url", public_url) or "" if table.has("url") else "")
    table.done()
    return publish


def public_url(text: str) -> str:
    """Return an address for .repo files, without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise ValueError(f"{text!r} is no URL: {error}") from error
    if parts.scheme not in {"https", "http", "file"} or (parts.scheme != "file" and not host):
        raise ValueError(f"{text!r} is no URL for dnf: https://…, http://… or file:///…")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{parts.scheme}://…@{host} holds credentials, which every customer would get")
    if not _PLAIN.match(text) or ".." in parts.path.split("/"):
        raise ValueError(f"{text!r} holds characters or parts that an address in a .repo file must not have")
    return text.rstrip("/")

"""The only door to the network: pinned files and the simple index, over verified HTTPS."""

from __future__ import annotations

from elpack.fetch.files import Progress, fetch_all
from elpack.fetch.index import fetch_simple, find_sdist
from elpack.fetch.transport import Patience

__all__ = ["Patience", "Progress", "fetch_all", "fetch_simple", "find_sdist"]

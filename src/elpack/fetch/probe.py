"""Small questions to a server: whether it answers, and what a little file of it holds."""

from __future__ import annotations

from elpack.errors import FetchError
from elpack.fetch.transport import Patience, Transport

_ONE_SHORT_TRY = Patience(attempts=1, timeout=5.0)
_LIMIT = 1_000_000


def answers(url: str) -> bool:
    """Tell whether a file is there, by one try of at most five seconds of silence."""
    try:
        Transport(_ONE_SHORT_TRY).get(url, lambda response: response.read(1))
    except FetchError:
        return False
    return True


def content(url: str) -> bytes:
    """Return a small file, such as a repository's repomd.xml. Raises `FetchError`, also when it is over 1 MB."""
    transport = Transport(Patience())
    return transport.get(url, lambda response: transport.body(response, _LIMIT, url))

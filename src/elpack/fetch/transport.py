"""One GET, done carefully: which URLs are allowed, redirects, time limits, retries, and words for what failed."""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import itertools
import random
import re
import ssl
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from elpack import __version__
from elpack.errors import ElpackError, FetchError, InterruptedRunError, Problem
from elpack.fetch.connections import Connections, UnreachableError, address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse
    from typing import Self

T = TypeVar("T")

_OK = 200
_CHUNK = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_MOST_GRAVE = 2
_MOST_GIVEN_UP = 3
"""After so many files that a host would not give, and none that it gave, the others are not asked for any more."""

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_URL = re.compile(r"[^!-~]")
_HINTS = {
    401: "the server wants a name and password, which elpack does not send",
    403: "the server refuses this address or these credentials",
    404: "the file was removed, or this is not the index that the lock was made with",
    410: "the file was removed",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try. Times in seconds, `slowest` in bytes per second on average.

    `timeout` bounds each silence, not a whole download; `pause` doubles with each retry.
    """

    attempts: int = 4
    timeout: float = 30.0
    pause: float = 0.5
    longest_pause: float = 60.0
    slowest: int = 4_000


class TemporaryFailureError(Exception):
    """A failure that may pass. `after` is what the server asked to wait, in seconds.

    grave: the error to raise if it happens twice, in place of more attempts.
    """

    def __init__(
        self, what: str, *, after: float = 0.0, unreachable: bool = False, grave: ElpackError | None = None
    ) -> None:
        super().__init__(what)
        self.after = after
        self.unreachable = unreachable
        self.grave = grave


class Transport:
    """Performs GETs from several threads. A host that could not be reached is not tried again by the same object."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._connections = Connections(self.patience.timeout)
        self._stop = threading.Event()
        self._down: set[str] = set()
        self._given_up: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    def stop(self) -> None:
        """Make all threads give up soon; called when the run is interrupted or the disk is full."""
        self._stop.set()
        self._connections.abort()

    def get(self, url: str, consume: Callable[[HTTPResponse], T], accept: str = "*/*") -> T:
        """Open the URL and return what `consume` makes of the answer, trying again after temporary failures.

        `consume` may run several times; it raises `TemporaryFailureError` to be run again, and turns its own disk
        errors into `ElpackError`, because an OSError counts as the network's. Raises `FetchError`.
        """
        if fault := url_fault(url):
            raise FetchError(Problem(fault, shown(url)))
        if address(urlsplit(url)) in self._down:
            raise FetchError(Problem("was not tried, because its host did not answer before", shown(url)))
        self._check_stopped()
        for number in itertools.count(1):
            try:
                with self._answer(url, accept) as response:
                    result = consume(response)
            except TemporaryFailureError as failure:
                self._check_stopped()
                if failure.grave and number >= _MOST_GRAVE:
                    raise failure.grave from None
                if number >= self.patience.attempts:
                    raise self._give_up(failure, url) from None
                self._wait(number, failure.after)
            else:
                self._given_up[address(urlsplit(url))] = 0
                return result
        raise AssertionError

    def check_pace(self, received: int, start: float) -> None:
        """Raise when the run was stopped or a download drips so slowly that it would never end."""
        self._check_stopped()
        self._connections.extend()
        late = time.monotonic() - start - self.patience.timeout
        if late > 0 and received < late * self.patience.slowest:
            raise TemporaryFailureError(f"only {received} bytes came in {late + self.patience.timeout:.0f} s")

    def body(self, response: HTTPResponse, limit: int, url: str) -> bytes:
        """Return what an answer holds. Raises `FetchError` when it is more than `limit` bytes, or drips."""
        announced, start, chunks, received = response.length, time.monotonic(), [], 0
        while received != announced and (chunk := response.read1(_CHUNK)):
            chunks.append(chunk)
            received += len(chunk)
            if received > limit:
                raise FetchError(Problem(f"the answer is larger than {limit} bytes", shown(url)))
            self.check_pace(received, start)
        if announced is not None and received < announced:
            raise TemporaryFailureError(f"the connection broke after {received} of {announced} bytes")
        return b"".join(chunks)

    @contextmanager
    def _answer(self, url: str, accept: str) -> Iterator[HTTPResponse]:
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": f"elpack/{__version__}"}
        origin = url
        for _ in range(_MOST_REDIRECTS + 1):
            with self._errors_in_words(url), self._connections.get(url, headers) as response:
                target = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
                if not target:
                    _check_status(response, url)
                    yield response
                    return
            url = redirected(url, target, origin)
        raise FetchError(Problem(f"redirects more than {_MOST_REDIRECTS} times", shown(origin)))

    @contextmanager
    def _errors_in_words(self, url: str) -> Iterator[None]:
        try:
            yield
        except UnreachableError as error:
            raise self._unreachable(error.cause, url) from None
        except TimeoutError:
            raise TemporaryFailureError(f"nothing came for {self.patience.timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise TemporaryFailureError(f"the connection broke: {str(error) or type(error).__name__}") from None

    def _unreachable(self, error: OSError, url: str) -> Exception:
        if isinstance(error, ssl.SSLCertVerificationError):
            fix = "add your authority to the system's trust store, or name a bundle in SSL_CERT_FILE"
            return FetchError(
                Problem(f"the server's certificate is not trusted: {error.verify_message}", shown(url), fix=fix)
            )
        if isinstance(error, TimeoutError):
            return TemporaryFailureError(f"no answer within {self.patience.timeout:g} s", unreachable=True)
        return TemporaryFailureError(f"no connection: {error.strerror or error}", unreachable=True)

    def _give_up(self, failure: TemporaryFailureError, url: str) -> FetchError:
        host = address(urlsplit(url))
        self._given_up[host] += 1
        if failure.unreachable or self._given_up[host] >= _MOST_GIVEN_UP:
            self._down.add(host)
        what = f"{failure} ({self.patience.attempts} attempts)"
        return FetchError(Problem(what, shown(url), fix="look at the network, then run again"))

    def _wait(self, number: int, asked: float) -> None:
        pause = max(self.patience.pause * 2 ** (number - 1) * random.uniform(0.8, 1.2), asked)  # noqa: S311
        self._stop.wait(min(pause, self.patience.longest_pause))
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self._stop.is_set():
            raise InterruptedRunError(Problem("the download was stopped"))


def url_fault(url: str) -> str:
    """Return why elpack does not open this URL, or "". Plain http is for loopback only."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # as the resolver will be asked
    except ValueError:
        return "is no URL"
    if not parts.scheme or _NO_URL.search(url):
        return "is no URL"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host or "")):
        return "" if host else "is no URL"
    return f"is not fetched over {parts.scheme}:, only over https:"


def shown(url: str) -> str:
    """Return the URL as messages may show it: without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(a malformed URL)"
    return ascii(urlunsplit((parts.scheme, address(parts), parts.path, "", "")))[1:-1]


def leads_home(url: str) -> bool:
    """Tell whether a URL leads to this machine."""
    return _is_loopback(urlsplit(url).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def redirected(url: str, target: str, origin: str) -> str:
    """Return where a redirect leads, of what was first asked for as `origin`. Raises `FetchError` when it may not."""
    try:
        new = urljoin(url, target)
    except ValueError:
        new = target
    fault = url_fault(new)
    # Nobody but the user says who the user is: a redirect with a name in it may be meant to be mistaken for its end.
    if not fault and "@" in urlsplit(new).netloc:
        fault = "holds a user or a password"
    # A public index has no business on this machine's own services.
    if not fault and leads_home(new) and not leads_home(origin):
        fault = "is this machine"
    if fault:
        raise FetchError(Problem(f"redirects to {shown(new)}, which {fault}", shown(origin)))
    return new


def _check_status(response: HTTPResponse, url: str) -> None:
    if response.status == _OK:
        return
    what = f"the server answered {response.status} {http.client.responses.get(response.status, '')}".rstrip()
    if response.status in TEMPORARY:
        raise TemporaryFailureError(what, after=retry_after(response.headers.get("Retry-After", "")))
    raise FetchError(Problem(what, shown(url), why=_HINTS.get(response.status, "")))


def retry_after(value: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), 0 when it says nothing usable."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0

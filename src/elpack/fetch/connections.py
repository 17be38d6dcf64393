"""Connections that stay open between requests, through the proxy that the environment names.

One handshake and name lookup per thread instead of one per file: of 142 downloads on a network whose resolver drops a
packet now and then, that is most of the time.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from http.client import HTTPConnection, HTTPResponse


_SILENCES = 3
"""How many silences an answer's head, or a stretch of its body, may last in all: a server may drip byte by byte."""

_LOOK = 0.25


class UnreachableError(Exception):
    """No connection came about; `cause` says why."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. body: gives what to send, anew for another attempt; its length stands in the headers."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Iterable[bytes]] | None = None


class Connections:
    """A pool; each connection serves one thread at a time. `timeout` bounds connecting and each silence, in seconds.

    context: whom to trust, if not those whom the system trusts.
    """

    def __init__(self, timeout: float, context: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._own_context = context
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = defaultdict(list)
        self._lock = threading.Lock()
        self._deadlines: dict[int, tuple[float, HTTPConnection]] = {}
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def extend(self) -> None:
        """Give this thread's request more time: something came."""
        with self._lock:
            if found := self._deadlines.get(threading.get_ident()):
                self._deadlines[threading.get_ident()] = (time.monotonic() + self._allowed, found[1])

    def abort(self) -> None:
        """Break all requests under way, in whatever threads."""
        with self._lock:
            for _, connection in self._deadlines.values():
                _break(connection)

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        """Send a GET; see `send`."""
        with self.send(Request("GET", url, headers)) as response:
            yield response

    @contextmanager
    def send(self, request: Request) -> Iterator[HTTPResponse]:
        """Send a request, credentials in the URL as Basic authentication, and yield the answer, whatever its status.

        Raises `UnreachableError`, or what `http.client` raises after a connection came about.
        """
        url, headers = request.url, request.headers
        parts = urlsplit(url)
        proxy = _proxy(parts)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = {**headers, **_authorization("Authorization", parts)}
        if proxy and parts.scheme == "http":
            target = f"http://{address(parts)}{target}"
            headers |= {"Host": address(parts), **_authorization("Proxy-Authorization", proxy)}
        connection, response = self._ask(parts, proxy, Request(request.method, target, headers, request.body))
        try:
            yield response
        finally:
            self._forget()
            # Only a response read to its end leaves the connection fit for another request.
            if response.isclosed() and not response.will_close:
                with self._lock:
                    self._idle[parts.scheme, address(parts)].append(connection)
            else:
                response.close()
                connection.close()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        # Reading the system's certificates takes tens of milliseconds, which a run without downloads should not pay.
        return self._own_context or ssl.create_default_context()

    def close(self) -> None:
        """Close what is idle."""
        self._closed.set()
        with self._lock:
            for connections in self._idle.values():
                while connections:
                    connections.pop().close()

    def _ask(
        self, parts: SplitResult, proxy: SplitResult | None, request: Request
    ) -> tuple[HTTPConnection, HTTPResponse]:
        while True:
            with self._lock:
                idle = self._idle[parts.scheme, address(parts)]
                kept = idle.pop() if idle else None
            connection = kept or self._connect(parts, proxy)
            self._watch(connection)
            try:
                self._request(connection, request)
                return connection, connection.getresponse()
            except BaseException as error:
                self._forget()
                connection.close()
                # The server may have closed it meanwhile, which is no failure yet.
                if not (kept and isinstance(error, ConnectionError | ssl.SSLError)):
                    raise

    def _request(self, connection: HTTPConnection, request: Request) -> None:
        headers = dict(request.headers)
        if request.body is None:
            connection.request(request.method, request.url, headers=headers)
            return
        # Who has seen enough answers before the end and closes: then the answer says more than the broken pipe.
        with suppress(BrokenPipeError, ssl.SSLEOFError):
            connection.request(request.method, request.url, body=self._extending(request.body()), headers=headers)

    def _extending(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.extend()
            yield piece
        self.extend()

    @property
    def _allowed(self) -> float:
        return _SILENCES * self._timeout

    def _watch(self, connection: HTTPConnection) -> None:
        """Break the connection when its answer takes too long: its own timeout bounds each silence only."""
        with self._lock:
            self._deadlines[threading.get_ident()] = (time.monotonic() + self._allowed, connection)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._look, name="fetch-watch", daemon=True)
                self._watcher.start()

    def _forget(self) -> None:
        with self._lock:
            self._deadlines.pop(threading.get_ident(), None)

    def _look(self) -> None:
        while not self._closed.wait(min(_LOOK, self._timeout)):
            with self._lock:
                for deadline, connection in self._deadlines.values():
                    if deadline < time.monotonic():
                        _break(connection)

    def _connect(self, parts: SplitResult, proxy: SplitResult | None) -> HTTPConnection:
        via = proxy or parts
        if parts.scheme == "https":
            secure = http.client.HTTPSConnection(
                via.hostname or "", via.port, timeout=self._timeout, context=self._context
            )
            if proxy:
                secure.set_tunnel(parts.hostname or "", parts.port or 443, _authorization("Proxy-Authorization", proxy))
            connection: HTTPConnection = secure
        else:
            connection = http.client.HTTPConnection(via.hostname or "", via.port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise UnreachableError(error) from error
        return connection


def _break(connection: HTTPConnection) -> None:
    """Let whoever reads from the connection find its end."""
    if connection.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def address(parts: SplitResult) -> str:
    """Return host and port of a URL without credentials."""
    return parts.netloc.rpartition("@")[2]


def _proxy(parts: SplitResult) -> SplitResult | None:
    host = parts.hostname or ""
    url = urllib.request.getproxies().get(parts.scheme)
    if not url or urllib.request.proxy_bypass(host):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def _authorization(header: str, parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: "Basic " + base64.b64encode(pair.encode()).decode()}

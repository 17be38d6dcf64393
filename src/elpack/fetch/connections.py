"""Connections that stay open between requests, through the proxy that the environment names.

One handshake and name lookup per thread instead of one per file: of 142 downloads on a network whose resolver drops a
packet now and then, that is most of the time.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.client import HTTPConnection, HTTPResponse


class UnreachableError(Exception):
    """No connection came about; `cause` says why."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Connections:
    """A pool; each connection serves one thread at a time. `timeout` bounds connecting and each silence, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        """Send a GET, credentials in the URL as Basic authentication, and yield the answer, whatever its status.

        Raises `UnreachableError`, or what `http.client` raises after a connection came about.
        """
        parts = urlsplit(url)
        proxy = _proxy(parts)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = {**headers, **_authorization("Authorization", parts)}
        if proxy and parts.scheme == "http":
            target = f"http://{address(parts)}{target}"
            headers |= {"Host": address(parts), **_authorization("Proxy-Authorization", proxy)}
        connection, response = self._ask(parts, proxy, target, headers)
        try:
            yield response
        finally:
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
        return ssl.create_default_context()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            for connections in self._idle.values():
                while connections:
                    connections.pop().close()

    def _ask(
        self, parts: SplitResult, proxy: SplitResult | None, target: str, headers: Mapping[str, str]
    ) -> tuple[HTTPConnection, HTTPResponse]:
        while True:
            with self._lock:
                idle = self._idle[parts.scheme, address(parts)]
                kept = idle.pop() if idle else None
            connection = kept or self._connect(parts, proxy)
            try:
                connection.request("GET", target, headers=dict(headers))
                return connection, connection.getresponse()
            except BaseException as error:
                connection.close()
                # The server may have closed it meanwhile, which is no failure yet.
                if not (kept and isinstance(error, ConnectionError | ssl.SSLError)):
                    raise

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

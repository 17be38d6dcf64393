"""Requests to one registry: who asks and whom is trusted, attempts and limits."""

from __future__ import annotations

import http.client
import itertools
import random
import re
import ssl
import time
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode, urlsplit

from elpack import __version__
from elpack.errors import FetchError, Problem, RegistryError
from elpack.fetch.connections import Connections, Request, UnreachableError, address
from elpack.fetch.refusals import AGAIN, Answer, Asker
from elpack.fetch.transport import TemporaryFailureError, leads_home, redirected, shown, url_fault
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from http.client import HTTPResponse

    from elpack.fetch.credentials import Credentials
    from elpack.fetch.transport import Patience

T = TypeVar("T")

LARGEST_MANIFEST = 4 << 20
"""Bytes; what podman's library takes at most."""
_LARGEST_REFUSAL = 1 << 16
_LARGEST_TOKEN = 1 << 20
_CHUNK = 1 << 16
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN = re.compile(r"[!-~]{1,65536}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_API_HOSTS = {"docker.io": "registry-1.docker.io"}
_NO_TLS = "no TLS came about"


class Door:
    """Asks one registry about one repository. host: with its port; path: of the repository."""

    def __init__(
        self, host: str, path: str, credentials: Credentials | None, context: ssl.SSLContext, patience: Patience
    ) -> None:
        self._host = _API_HOSTS.get(host, host)
        self._path = path
        self._credentials = credentials
        self._asker = Asker(host, credentials)
        self._patience = patience
        self._own = Connections(patience.timeout, context)
        self._others = Connections(patience.timeout)
        self._authorization = ""
        self._home = ""

    def close(self) -> None:
        """Close all connections."""
        self._own.close()
        self._others.close()

    def ask(
        self, method: str, place: str, expected: Collection[int], *, accept: str = "*/*", limit: int = LARGEST_MANIFEST
    ) -> Answer:
        """Ask about a place in the repository, such as ``manifests/1.0``, and again after temporary failures.

        Raises `RegistryError` when the status is none of those that are expected.
        """

        def action() -> Answer:
            return self.once(Request(method, self.url(place), {"Accept": accept}), expected, limit=limit)

        return self.retrying(action)

    def url(self, place: str) -> str:
        """Return the address of a place in the repository."""
        if not self._home:
            self._home = self._found_home()
        return f"{self._home}/v2/{self._path}/{place}"

    def retrying(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, trying it again when it raises `TemporaryFailureError`."""
        for number in itertools.count(1):
            try:
                return action()
            except TemporaryFailureError as failure:
                if number >= self._patience.attempts:
                    what = f"{failure} ({number} attempts)"
                    raise RegistryError(Problem(what, self._host, fix=AGAIN)) from None
                pause = self._patience.pause * 2 ** (number - 1) * random.uniform(0.8, 1.2)  # noqa: S311
                time.sleep(min(max(pause, failure.after), self._patience.longest_pause))
        raise AssertionError

    def once(self, request: Request, expected: Collection[int], *, limit: int = LARGEST_MANIFEST) -> Answer:
        """Ask once, with our credentials if the registry wants them and the address is its own.

        Raises `TemporaryFailureError` for what may pass, else `RegistryError`.
        """
        answer = self._sent(request, limit)
        # who is elsewhere has no business to ask who we are, or to say who vouches for us
        if answer.status == HTTPStatus.UNAUTHORIZED and self._is_own(answer.url):
            self._authorize(answer)
            answer = self._sent(request, limit)
        if answer.status in expected:
            return answer
        raise self._refusal(answer, answer.url)

    def leads_to(self, location: str, url: str) -> str:
        """Return the address that a Location header names, of an answer from `url`. Raises `RegistryError`."""
        if not location:
            raise RegistryError(Problem("the answer names no place to go on", shown(url), "it is no registry"))
        try:
            return redirected(url, location, url)
        except FetchError as error:
            raise RegistryError(*error.problems) from None

    def _sent(self, request: Request, limit: int) -> Answer:
        """Follow redirects of what only asks; who is elsewhere gets no credentials."""
        origin = request.url
        for _ in range(_MOST_REDIRECTS + 1):
            own = self._is_own(request.url)
            known = {"Authorization": self._authorization} if own and self._authorization else {}
            with_ours = replace(request, headers={**request.headers, **known})
            answer = self._exchanged(self._own if own else self._others, with_ours, limit)
            if answer.status not in _REDIRECTS or request.method not in {"GET", "HEAD"}:
                return answer
            request = replace(request, url=self.leads_to(answer.headers.get("Location", ""), request.url))
        raise RegistryError(Problem(f"redirects more than {_MOST_REDIRECTS} times", shown(origin)))

    def _exchanged(self, connections: Connections, request: Request, limit: int) -> Answer:
        url = request.url
        if fault := url_fault(url):
            raise RegistryError(Problem(fault, shown(url)))
        headers = {"Accept-Encoding": "identity", "User-Agent": f"elpack/{__version__}", **request.headers}
        with self._errors_in_words(url), connections.send(replace(request, headers=headers)) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                content = self._read(connections, response, _LARGEST_REFUSAL)[:_LARGEST_REFUSAL]
            else:
                content = self._read(connections, response, limit)
                if len(content) > limit:
                    raise RegistryError(Problem(f"the answer is larger than {limit} bytes", shown(url)))
            return Answer(url, response.status, response.headers, content)

    def _read(self, connections: Connections, response: HTTPResponse, limit: int) -> bytes:
        """Return what an answer holds, or a little more than `limit` bytes of it."""
        announced, start, received = response.length, time.monotonic(), bytearray()
        while len(received) != announced and (chunk := response.read1(_CHUNK)):
            received += chunk
            if len(received) > limit:
                return bytes(received)
            connections.extend()
            late = time.monotonic() - start - self._patience.timeout
            if late > 0 and len(received) < late * self._patience.slowest:
                raise TemporaryFailureError("the answer drips so slowly that it would never end")
        if announced is not None and len(received) < announced:
            raise TemporaryFailureError(f"the connection broke after {len(received)} of {announced} bytes")
        response.read(1)  # then the connection can be used again, where the end was announced
        return bytes(received)

    @contextmanager
    def _errors_in_words(self, url: str) -> Iterator[None]:
        try:
            yield
        except UnreachableError as error:
            raise _unreachable(error.cause, url) from None
        except TimeoutError:
            raise TemporaryFailureError(f"nothing came for {self._patience.timeout:g} s") from None
        except ssl.SSLEOFError:  # a connection that broke, told by TLS
            raise TemporaryFailureError("the connection broke while TLS was spoken") from None
        except ssl.SSLError as error:  # such as a client certificate that is refused, which is told after the handshake
            raise RegistryError(Problem(f"TLS failed: {error.reason or error}", shown(url))) from None
        except (OSError, http.client.HTTPException) as error:
            raise TemporaryFailureError(f"the connection broke: {type(error).__name__}") from None

    def _found_home(self) -> str:
        """Return how the registry is reached: by TLS, or by plain http where that is this machine and speaks no TLS."""
        home = f"https://{self._host}"
        try:
            answer = self._greeted(home)
        except RegistryError as error:
            if not leads_home(home) or not any(one.what.startswith(_NO_TLS) for one in error.problems):
                raise
            home = f"http://{self._host}"
            answer = self._greeted(home)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._is_own(answer.url):
            self._authorize(answer)
        elif answer.status != HTTPStatus.OK:
            raise self._refusal(answer, answer.url)
        return home

    def _greeted(self, home: str) -> Answer:
        return self.retrying(lambda: self._sent(Request("GET", f"{home}/v2/"), LARGEST_MANIFEST))

    def _is_own(self, url: str) -> bool:
        parts = urlsplit(url)
        return address(parts) == self._host and (not self._home or self._home == f"{parts.scheme}://{self._host}")

    def _authorize(self, answer: Answer) -> None:
        """Find out what the registry wants to know of us, and say that from now on."""
        challenges = answer.headers.get_all("WWW-Authenticate", [])
        bearer = next((text for text in challenges if text.lower().startswith("bearer ")), "")
        basic = any(text.lower().startswith("basic") for text in challenges)
        if bearer:
            self._authorization = self._token(dict(_PARAMETER.findall(bearer)))
        elif basic and self._credentials and self._credentials.secret and not self._authorization:
            self._authorization = self._credentials.basic
        else:
            raise self._refusal(answer, f"https://{self._host}")

    def _token(self, wanted: Mapping[str, str]) -> str:
        """Return what an authorization service gives for our credentials (distribution: token authentication)."""
        realm = wanted.get("realm", "")
        if fault := self._realm_fault(realm):
            raise RegistryError(Problem(f"it sends us to {shown(realm)} for a token, which {fault}", self._host))
        connections = self._own if self._is_own(realm) else self._others
        answer = self._exchanged(connections, self._token_request(realm, wanted.get("service", "")), _LARGEST_TOKEN)
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer, realm)
        try:
            document = json_value(answer.body)
            token = str(document.get("token") or document["access_token"])
        except (ValueError, KeyError, TypeError, AttributeError):
            token = ""
        if not _TOKEN.fullmatch(token):
            raise RegistryError(Problem("it gives no token", shown(realm), "it is no authorization service"))
        return f"Bearer {token}"

    def _realm_fault(self, realm: str) -> str:
        if fault := url_fault(realm):
            return fault
        if "@" in urlsplit(realm).netloc:
            return "holds a user or a password"
        return "is this machine" if leads_home(realm) and not leads_home(f"https://{self._host}") else ""

    def _token_request(self, realm: str, service: str) -> Request:
        known, headers = self._credentials, {"Accept": "application/json"}
        scope = {"service": service, "scope": f"repository:{self._path}:pull,push"}
        if known and known.identity_token:
            grant = {"grant_type": "refresh_token", "client_id": "elpack", "refresh_token": known.identity_token}
            form = urlencode({**scope, **grant}).encode()
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
            return Request("POST", realm, headers, lambda: (form,))
        if known:
            headers["Authorization"] = known.basic
        return Request("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(scope)}", headers)

    def _refusal(self, answer: Answer, url: str) -> Exception:
        return self._asker.refusal(answer, url, (self._authorization.partition(" ")[2],))


def _unreachable(cause: OSError, url: str) -> Exception:
    if isinstance(cause, ssl.SSLCertVerificationError):
        fix = f"put its authority into /etc/containers/certs.d/{address(urlsplit(url))}/ca.crt"
        what = f"the registry's certificate is not trusted: {cause.verify_message}"
        return RegistryError(Problem(what, shown(url), fix=fix))
    if isinstance(cause, ssl.SSLError):
        why = "plain http is spoken to this machine alone"
        return RegistryError(Problem(f"{_NO_TLS}: {cause.reason or cause}", shown(url), why))
    return TemporaryFailureError(f"no connection to the registry: {cause.strerror or cause}")

"""Calls of podman's API, and what its failures mean to the user."""

from __future__ import annotations

import gc
import json
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from podman import PodmanClient
from podman.errors import APIError, PodmanError

from elpack.errors import DiskFullError, EngineError, Problem, says_full
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from podman.api.client import APIResponse

PODMAN_ERRORS = (PodmanError, requests.RequestException, urllib3.exceptions.HTTPError)
"""All that podman-py and what is below it raise."""
OLDEST = (4, 3)
_API = "4.3.0"
_TIMEOUT = 900.0
_GREETING = 60.0
_LARGEST_LINE = 1 << 20
_FREE = "free some space; elpack clean removes all that elpack made"


@contextmanager
def connected(url: str) -> Iterator[PodmanClient]:
    """Connect to a podman that answers and is new enough. Raises `EngineError`."""
    try:
        client = PodmanClient(base_url=url, version=_API, timeout=_TIMEOUT)
    except (ValueError, *PODMAN_ERRORS) as error:
        fix = "unix:///run/podman/podman.sock is of the right form"
        raise EngineError(Problem(f"podman cannot be reached: {error}", url, fix=fix)) from None
    try:
        if problem := _greeted(client, url):
            raise EngineError(problem)
        if (found := version(client)) < OLDEST:
            is_old = f"podman {'.'.join(map(str, found))} is too old"
            raise EngineError(Problem(is_old, url, fix=f"{'.'.join(map(str, OLDEST))} or newer"))
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


def version(client: PodmanClient) -> tuple[int, ...]:
    """Return podman's version. Raises `EngineError`."""
    text = str(call(client, "GET", "/version").get("Version", ""))
    numbers = text.partition("-")[0].split(".")
    if not all(number.isdecimal() for number in numbers):
        raise EngineError(Problem(f"podman says that it is {text[:80]!r}"))
    return tuple(map(int, numbers))


def call(client: PodmanClient, method: str, path: str, params: Mapping[str, Any] | None = None) -> Any:
    """Call the API and return the answer, None for an empty one. Raises `EngineError`, `DiskFullError`."""
    with told(f"{method} {path}"):
        response = _send(client, method, path, params)
        response.raise_for_status()
        return json_value(response.content) if response.content.strip() else None


def post(client: PodmanClient, path: str, value: Mapping[str, Any]) -> Any:
    """Post JSON and return the answer. Raises `EngineError`, `DiskFullError`."""
    with told(f"POST {path}"):
        headers = {"Content-type": "application/json"}
        response = client.api.post(path, data=json.dumps(value), headers=headers)
        response.raise_for_status()
        return json_value(response.content)


@contextmanager
def streamed(
    client: PodmanClient, method: str, path: str, params: Mapping[str, Any], data: Iterable[bytes] | None = None
) -> Iterator[APIResponse]:
    """Call the API and let the caller read the answer as it comes. Raises `EngineError`, `DiskFullError`."""
    with told(f"{method} {path}"):
        headers = {"Content-type": "application/x-tar"} if data is not None else {}
        response = _send(client, method, path, params, data=data, headers=headers, stream=True)
        try:
            response.raise_for_status()
            yield response
        finally:
            response.close()


def events(response: APIResponse) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of an answer, one a line. Raises `EngineError` for what is none."""
    for line in response.iter_lines(chunk_size=None):
        if not line:
            continue
        try:
            value = json_value(line) if len(line) < _LARGEST_LINE else None
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise EngineError(Problem(f"podman answers what nobody understands: {line[:200]!r}"))
        yield value


@contextmanager
def told(asked: str) -> Iterator[None]:
    """Let what podman-py raises become `EngineError`, or `DiskFullError` where it says so."""
    try:
        yield
    except PODMAN_ERRORS as error:
        said = (error.explanation or str(error)) if isinstance(error, APIError) else str(error)
        raise failure(f"podman failed: {said}", asked) from error
    except ValueError as error:
        raise EngineError(Problem(f"podman answers what nobody understands: {error}", asked)) from error


def failure(what: str, where: str) -> DiskFullError | EngineError:
    """Return an error of podman's, by what it says."""
    if says_full(what):
        return DiskFullError(Problem(what, where, fix=_FREE))
    return EngineError(Problem(what, where))


def _send(client: PodmanClient, method: str, path: str, params: Mapping[str, Any] | None, **more: Any) -> APIResponse:
    api = client.api
    how = {"GET": api.get, "POST": api.post, "DELETE": api.delete}[method]
    return how(path, params=params, **more)


def _greeted(client: PodmanClient, url: str) -> Problem | None:
    """Return why podman does not answer, None when it does."""
    with warnings.catch_warnings():
        # podman-py forgets to close a socket that is refused, which the error's traceback keeps
        warnings.simplefilter("ignore", ResourceWarning)
        problem = None
        try:
            client.api.get("/_ping", timeout=_GREETING).raise_for_status()
        except PODMAN_ERRORS as error:
            problem = _refused(url, error)
        if problem:
            gc.collect()
    return problem


def _refused(url: str, error: BaseException) -> Problem:
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = " ".join(said)
    if "Permission denied" in text:
        return Problem("podman's socket refuses us: permission denied", url, fix="run the same command with sudo")
    if "No such file" in text:
        return Problem(
            "podman does not listen there", url, fix="systemctl start podman.socket; or unset CONTAINER_HOST"
        )
    if "Connection refused" in text:
        return Problem("nobody listens on podman's socket any more", url, fix="systemctl restart podman.socket")
    return Problem(f"podman does not answer: {said[-1]}", url)

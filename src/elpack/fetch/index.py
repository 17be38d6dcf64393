"""The simple repository API (PEP 503, 691, 700): which files an index has of one dist."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from elpack import strict
from elpack.errors import FetchError, HashMismatchError, Problem
from elpack.fetch.transport import Transport, shown
from elpack.lockfile import uploaded_at
from elpack.model import RemoteFile, Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.fetch.transport import Patience

_JSON = "application/vnd.pypi.simple.v1+json"
_LARGEST = 64 << 20


def fetch_simple(index_url: str, name: NormalizedName, *, patience: Patience | None = None) -> list[RemoteFile]:
    """Return the files that an index lists for a dist, in its order; those without a SHA-256 are left out.

    `index_url` ends where the dist's name begins, such as https://pypi.org/simple. Raises `FetchError`.
    """
    url = f"{index_url.rstrip('/')}/{name}/"
    with Transport(patience) as transport:
        body = transport.get(url, lambda response: _read(url, response, transport), accept=_JSON)
    try:
        files = strict.json_value(body)["files"]
        return [found for entry in files if (found := _remote_file(url, entry))]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FetchError(Problem(f"the index's answer is not PEP 691 JSON: {error!r}", shown(url))) from error


def find_sdist(
    index_url: str, name: NormalizedName, version: Version, sha256: Sha256, *, patience: Patience | None = None
) -> RemoteFile:
    """Return the sdist of one version that has the pinned digest.

    Raises `FetchError` when the index has no sdist of that version, `HashMismatchError` when it has another one.
    """
    where = shown(f"{index_url.rstrip('/')}/{name}/")
    sdists = [file for file in fetch_simple(index_url, name, patience=patience) if _is_sdist(file, name, version)]
    for file in sdists:
        if file.sha256 == sha256:
            return file
    if not sdists:
        raise FetchError(Problem(f"the index has no sdist of {name} {version}", where, fix="check name and version"))
    raise HashMismatchError(
        *(
            Problem(
                f"{file.filename} has sha256 {file.sha256} there, pinned is {sha256}",
                where,
                fix="find out which of the two is genuine before you pin anew",
            )
            for file in sdists
        )
    )


def _read(url: str, response: HTTPResponse, transport: Transport) -> bytes:
    kind = response.headers.get_content_type()
    if kind != _JSON:
        raise FetchError(
            Problem(
                f"the index answers with {kind!a}, elpack needs {_JSON}",
                shown(url),
                why="the index does not speak PEP 691, or this is not the URL of its simple API",
                fix="name an index whose simple API answers in JSON, such as https://pypi.org/simple",
            )
        )
    return transport.body(response, _LARGEST, url)


def _remote_file(page: str, entry: Mapping[str, Any]) -> RemoteFile | None:
    digest = entry["hashes"].get("sha256")
    if not digest:
        return None
    return RemoteFile(
        filename=str(entry["filename"]),
        url=urljoin(page, str(entry["url"])),
        sha256=Sha256(str(digest).lower()),
        size=_size(entry.get("size")),
        uploaded=_epoch(entry.get("upload-time")),
    )


def _size(value: object) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{value!r} is no size of a file")
    return value


def _epoch(text: str | None) -> int | None:
    if not text:
        return None
    moment = dt.datetime.fromisoformat(text)
    return uploaded_at(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _is_sdist(file: RemoteFile, name: NormalizedName, version: Version) -> bool:
    try:
        return parse_sdist_filename(file.filename) == (name, version)
    except InvalidSdistFilename:
        return False

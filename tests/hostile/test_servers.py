"""Servers on loopback that answer what no server should: a fetch ends soon, with one error, and writes nothing else."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from elpack.errors import FetchError, HashMismatchError
from elpack.fetch import Patience, fetch_all, fetch_simple
from elpack.model import RemoteFile, Sha256
from elpack.naming import dist_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Talk = Callable[[socket.socket], None]

QUICK = Patience(attempts=1, timeout=0.4, pause=0.01, slowest=100_000)
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/vnd.pypi.simple.v1+json\r\n"
BODY = b"x" * 1000


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], str]]:
    """Return a function that lets something talk on each connection, and returns the address."""
    listeners: list[socket.socket] = []

    def start(talk: Talk) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_talk, args=(talk, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _talk(talk: Talk, connection: socket.socket) -> None:
    with connection:
        try:
            connection.recv(65536)
            talk(connection)
        except OSError:
            pass  # the client has heard enough


def _says(data: bytes) -> Talk:
    return lambda connection: connection.sendall(data)


def _drips(data: bytes, again: bytes, pause: float = 0.02) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        while True:
            connection.sendall(again)
            time.sleep(pause)

    return talk


ENDLESS = {
    "a head that drips": _drips(OK, b"X"),
    "headers without end": _drips(OK, b"X-Y: z\r\n" * 50, 0),
    "100 Continue without end": _drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "a body that drips": _drips(OK + JSON + b"Content-Length: 1000\r\n\r\n", b"x"),
    "a body without end": _drips(OK + JSON + b"\r\n", b"x" * 65536, 0),
    "chunks without end": _drips(OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk of 2^60": _drips(OK + JSON + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", b"x"),
    "nothing at all": _drips(b"", b"", 0.3),
}
NONSENSE = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "a status that is none": b"HTTP/1.1 two hundred\r\n\r\n",
    "a negative length": OK + JSON + b"Content-Length: -1\r\n\r\n" + BODY,
    "two lengths": OK + JSON + b"Content-Length: 5\r\nContent-Length: 1000\r\n\r\n" + BODY,
    "another length": OK + JSON + b"Content-Length: 999\r\n\r\n" + BODY,
    "a gzip bomb": OK + JSON + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(1 << 20)),
    "a name to save it by": OK + b"Content-Disposition: attachment; filename=../../pwned\r\n\r\n" + b"y" * 1000,
    "a redirect to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    "a redirect with a password": b"HTTP/1.1 302 Found\r\nLocation: http://a:secret-word@127.0.0.1/\r\n\r\n",
    "a redirect with a line end": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/a%0d%0ab\r\n\tc\r\n\r\n",
    "a redirect to itself": b"HTTP/1.1 302 Found\r\nLocation: /lib-1.0.tar.gz\r\nContent-Length: 0\r\n\r\n",
    "a login page": OK + b"Content-Type: text/html\r\n\r\n<!doctype html>",
    "a reason with an escape sequence": b"HTTP/1.1 403 \x1b[2Jpwned\r\n\r\n",
}


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=ENDLESS)
def test_a_file_ends_soon(talk: Talk, serve: Callable[[Talk], str], tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises((FetchError, HashMismatchError)) as caught:
        fetch_all([_file(serve(talk))], tmp_path / "into", patience=QUICK)
    assert time.monotonic() - start < 15
    assert len(caught.value.problems) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["into"]


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_one_error(data: bytes, serve: Callable[[Talk], str], tmp_path: Path) -> None:
    with pytest.raises((FetchError, HashMismatchError)) as caught:
        fetch_all([_file(serve(_says(data)))], tmp_path / "into", patience=QUICK)
    said = str(caught.value)
    assert not {"\x1b", "\r"} & set(said)
    assert "secret-word" not in said
    assert [path.name for path in tmp_path.rglob("*")] == ["into"]


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=ENDLESS)
def test_an_index_ends_soon(talk: Talk, serve: Callable[[Talk], str]) -> None:
    start = time.monotonic()
    with pytest.raises(FetchError):
        fetch_simple(serve(talk), dist_name("lib"), patience=QUICK)
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"{}",
        b'{"files": 5}',
        b'{"files": [5]}',
        b'{"files": [{"filename": 5}]}',
        b'{"files": [{"filename": "a", "url": [], "hashes": []}]}',
        b'{"files": [{"filename": "a", "url": "https://[", "hashes": {"sha256": "0"}}]}',
        b'{"files": [{"filename": "a", "url": "x", "hashes": {"sha256": "0"}, "upload-time": "9999-12-31T23:59"}]}',
        b'{"files": [{"filename": "a", "url": "x", "hashes": {"sha256": "0"}, "upload-time": "0001-01-01"}]}',
        b'{"files": [{"filename": "a", "url": "x", "hashes": {"sha256": "0"}, "size": "many"}]}',
        b"\xff\xfe",
        b"1" * 5000,
    ],
)
def test_an_index_that_lies_is_one_error(body: bytes, serve: Callable[[Talk], str]) -> None:
    answer = OK + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with pytest.raises(FetchError):
        fetch_simple(serve(_says(answer)), dist_name("lib"), patience=QUICK)


def _file(address: str) -> RemoteFile:
    return RemoteFile("lib-1.0.tar.gz", f"{address}/lib-1.0.tar.gz", Sha256("0" * 64), len(BODY))

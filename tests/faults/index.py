"""A package index on loopback that lies, stalls and breaks off: a proxy with certificates of its own for any host."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Fault = Callable[["Answer"], None]

HOSTS = ("files.pythonhosted.org", "pypi.org", "localhost")


class Answer:
    """One answer under way: its connection, and the file that was asked for."""

    def __init__(self, stream: Any, body: bytes) -> None:
        self.stream = stream
        self.body = body

    def head(self, status: str = "200 OK", **headers: object) -> None:
        fields = {"Content-Length": len(self.body), **{key.replace("_", "-"): value for key, value in headers.items()}}
        text = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
        self.stream.sendall(f"HTTP/1.1 {status}\r\n{text}\r\n".encode())

    def whole(self) -> None:
        self.head()
        self.stream.sendall(self.body)

    def status(self, status: str, **headers: object) -> None:
        self.body = b"go away"
        self.head(status, **headers)
        self.stream.sendall(self.body)


def drop(_: Answer) -> None:
    """Close the connection without a word."""


def stall(answer: Answer) -> None:
    """Say nothing more after half of it."""
    answer.head()
    answer.stream.sendall(answer.body[: len(answer.body) // 2])
    time.sleep(20)


def truncate(answer: Answer) -> None:
    answer.head()
    answer.stream.sendall(answer.body[: len(answer.body) // 2])


def reset(answer: Answer) -> None:
    """Break off by a reset in the middle."""
    truncate(answer)
    sock = answer.stream
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wrong(answer: Answer) -> None:
    """Flip a bit of the body."""
    middle = len(answer.body) // 2
    answer.body = answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :]
    answer.whole()


def short(answer: Answer) -> None:
    answer.head(Content_Length=len(answer.body) - 1)
    answer.stream.sendall(answer.body)


def long(answer: Answer) -> None:
    answer.head(Content_Length=len(answer.body) + 100)
    answer.stream.sendall(answer.body)


def page(answer: Answer) -> None:
    """Say 200 and mean a log-in page."""
    answer.body = b"<html>please log in</html>"
    answer.whole()


def partial(answer: Answer) -> None:
    """Answer with a range that nobody asked for."""
    answer.body = answer.body[10:]
    answer.head("206 Partial Content", Content_Range=f"bytes 10-{len(answer.body) + 9}/{len(answer.body) + 10}")
    answer.stream.sendall(answer.body)


def too_many(answer: Answer) -> None:
    answer.status("429 Too Many Requests", Retry_After=1)


def unavailable(answer: Answer) -> None:
    answer.status("503 Service Unavailable", Retry_After=0)


def bad_gateway(answer: Answer) -> None:
    answer.status("502 Bad Gateway")


def broken(answer: Answer) -> None:
    answer.status("500 Internal Server Error")


def garbage(answer: Answer) -> None:
    answer.stream.sendall(b"\x00\xff nothing that HTTP knows\r\n\r\n")


def around(answer: Answer) -> None:
    """Redirect in a circle."""
    answer.status("302 Found", Location="https://files.pythonhosted.org/again")


def to_http(answer: Answer) -> None:
    answer.status("301 Moved Permanently", Location="http://files.pythonhosted.org/plain")


def home(answer: Answer) -> None:
    answer.status("302 Found", Location="https://localhost/secret")


def drip_head(answer: Answer) -> None:
    """Send the head byte by byte, for ever."""
    answer.stream.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        answer.stream.sendall(b"x")
        time.sleep(0.05)


def drip(answer: Answer) -> None:
    answer.head()
    for byte in answer.body:
        answer.stream.sendall(bytes([byte]))
        time.sleep(0.05)


class Index(socketserver.ThreadingTCPServer):
    """Serves the files of a folder by their names. `fault` says by path and number of the attempt what goes wrong."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, files: Path, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.context = context
        self.fault: Callable[[str, int], Fault | None] = lambda _path, _number: None
        self.asked: dict[str, int] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that give up are what this is about."""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Index = self.server  # type: ignore[assignment]
        stream, first = self.request, _head(self.request)
        if first.startswith("CONNECT "):
            stream.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            stream = server.context.wrap_socket(stream, server_side=True)
            first = _head(stream)
        with stream:
            while first and _answered(server, stream, first.split(" ")[1]):
                first = _head(stream)


def _answered(server: Index, stream: Any, path: str) -> bool:
    """Answer a request, and tell whether the connection is fit for another one."""
    with server.lock:
        number = server.asked[path] = server.asked.get(path, 0) + 1
    file = server.files / path.rpartition("/")[2]
    answer = Answer(stream, file.read_bytes() if file.is_file() else b"")
    fault = server.fault(path, number)
    if fault is not None:
        fault(answer)
    elif file.is_file():
        answer.whole()
    else:
        answer.status("404 Not Found")
    return fault is None


def _head(stream: Any) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(4096)
        if not piece:
            return ""
        data += piece
    return data.decode(errors="replace")


@contextlib.contextmanager
def serving(files: Path, certificate: Path) -> Iterator[Index]:
    """Run an index over a folder of files; `certificate` is a PEM file that is made if it is not there."""
    if not certificate.exists():
        names = ",".join(f"DNS:{host}" for host in HOSTS)
        subject = ("-subj", "/CN=index", "-addext", f"subjectAltName={names}")
        out = ("-keyout", str(certificate), "-out", str(certificate.with_suffix(".crt")))
        subprocess.run(
            ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *out),
            check=True,
            capture_output=True,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_suffix(".crt"), certificate)
    with Index(files, context) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()

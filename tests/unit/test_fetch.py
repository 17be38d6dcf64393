from __future__ import annotations

import hashlib
import http.server
import json
import os
import select
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from elpack.errors import DiskFullError, ElpackError, FetchError, HashMismatchError
from elpack.fetch import Patience, fetch_all, fetch_simple, find_sdist
from elpack.fetch.transport import redirected
from elpack.model import RemoteFile, Sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[["Handler"], None]

BODY = bytes(range(256)) * 300
DEMO = canonicalize_name("demo")
QUICK = Patience(attempts=2, timeout=0.3, pause=0.01, longest_pause=0.1, slowest=1000)
_OPENSSL = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
JSON = "application/vnd.pypi.simple.v1+json"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests[self.path].append(dict(self.headers))
        answers = self.server.answers[self.path]
        # The last answer stays.
        answer = answers.pop(0) if len(answers) > 1 else answers[0] if answers else reply(404)
        answer(self)

    def do_CONNECT(self) -> None:
        self.server.requests[self.path].append(dict(self.headers))
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: other, other: self.connection}
            while readable := select.select(list(pair), [], [], 5)[0]:
                for sock in readable:
                    if not (data := sock.recv(65536)):
                        self.close_connection = True
                        return
                    pair[sock].sendall(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.requests: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.scheme = "http"

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for a name, which costs more than all these tests.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: object) -> None:
        pass

    def file(self, name: str, *answers: Answer, body: bytes = BODY, size: int | None = len(BODY)) -> RemoteFile:
        """Serve a file and return what a lock would say of it."""
        self.answers[f"/{name}"] = list(answers) or [reply(200, body)]
        return RemoteFile(name, self.url(f"/{name}"), Sha256(hashlib.sha256(body).hexdigest()), size)


def reply(status: int, body: bytes = b"", *, cut: int | None = None, **headers: str) -> Answer:
    """Answer with a body, of which only `cut` bytes are sent before the connection drops."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(key.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body[:cut])
        if cut is not None:
            handler.close_connection = True

    return answer


def stall(handler: Handler) -> None:
    reply(200, BODY, cut=10)(handler)
    handler.wfile.flush()
    time.sleep(1)


def drip(handler: Handler) -> None:
    reply(200, BODY, cut=0)(handler)
    for _ in range(40):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def drop(handler: Handler) -> None:
    handler.close_connection = True


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def serve(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(Server())


@pytest.fixture
def other() -> Iterator[Server]:
    yield from serve(Server())


def failing(
    kind: type[ElpackError], into: Path, *files: RemoteFile, patience: Patience = QUICK, offline: bool = False
) -> list[str]:
    """Return the problems of a fetch that must fail; nothing half-written may stay."""
    with pytest.raises(ElpackError) as caught:
        fetch_all(files, into, patience=patience, threads=1, offline=offline)
    assert type(caught.value) is kind
    assert not [path.name for path in into.iterdir() if path.name.startswith(".")] if into.exists() else True
    return [str(problem) for problem in caught.value.problems]


def test_files_are_fetched_once(server: Server, tmp_path: Path) -> None:
    files = [server.file(f"{number}.whl", body=BODY + bytes([number]), size=None) for number in range(20)]
    seen: dict[str, list[int]] = defaultdict(list)
    into = tmp_path / "new" / "folder"
    found = fetch_all(files, into, lambda file, received: seen[file.filename].append(received))
    assert found == {file.sha256: into / file.filename for file in files}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == digest for digest, path in found.items())
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in found.values())
    assert len(list(into.iterdir())) == 20
    assert {name: counts[-1] for name, counts in seen.items()} == {f"{n}.whl": len(BODY) + 1 for n in range(20)}
    fetch_all(files, into, lambda file, received: seen[file.filename].append(received))
    assert {len(requests) for requests in server.requests.values()} == {1}
    assert seen["0.whl"][-1] == len(BODY) + 1


def test_a_wrong_file_on_disk_is_replaced(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl")
    (tmp_path / "a.whl").write_bytes(b"wrong")
    assert fetch_all([file], tmp_path)[file.sha256].read_bytes() == BODY


def test_one_file_named_twice_is_fetched_once(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl")
    assert len(fetch_all([file, file], tmp_path)) == 1
    assert len(server.requests["/a.whl"]) == 1


@pytest.mark.parametrize(
    "first",
    [
        drop,
        reply(200, BODY, cut=1000),
        stall,
        reply(429, Retry_After="0"),
        reply(503, Retry_After="3600"),
        reply(503, Retry_After="Wed, 21 Oct 2037 07:28:00 GMT"),
        reply(500, Retry_After="soon"),
        reply(500, Retry_After="1 Jan 99999999999999999999 1:1:1"),
        reply(502, b"x" * 100),
    ],
)
def test_what_may_pass_is_tried_again(server: Server, tmp_path: Path, first: Answer) -> None:
    file = server.file("a.whl", first, reply(200, BODY))
    start = time.monotonic()
    assert fetch_all([file], tmp_path, patience=QUICK)[file.sha256].read_bytes() == BODY
    assert len(server.requests["/a.whl"]) == 2
    assert time.monotonic() - start < 5  # an hour of Retry-After is capped


def test_retry_after_is_honoured(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl", reply(429, Retry_After="1"), reply(200, BODY))
    start = time.monotonic()
    fetch_all([file], tmp_path, patience=Patience(attempts=2, pause=0.01, longest_pause=1.2))
    assert 1 <= time.monotonic() - start < 5


def test_progress_starts_again_with_a_retry(server: Server, tmp_path: Path) -> None:
    counts: list[int] = []
    file = server.file("a.whl", reply(200, BODY, cut=1000), reply(200, BODY))
    fetch_all([file], tmp_path, lambda _, received: counts.append(received), patience=QUICK)
    assert counts[0] == 0
    assert 1000 in counts
    assert counts.count(0) == 2
    assert counts[-1] == len(BODY)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drop, "the connection broke: Remote end closed connection without response (2 attempts)"),
        (reply(200, BODY, cut=1000), "the connection broke after 1000 of 76800 bytes (2 attempts)"),
        (stall, "nothing came for 0.3 s (2 attempts)"),
        (reply(503), "the server answered 503 Service Unavailable (2 attempts)"),
    ],
)
def test_a_lasting_failure_is_told(server: Server, tmp_path: Path, answer: Answer, reason: str) -> None:
    file = server.file("a.whl", answer)
    assert failing(FetchError, tmp_path, file) == [f"{file.url}: {reason}\n  fix: look at the network, then run again"]
    assert len(server.requests["/a.whl"]) == 2


def test_a_dripping_server_is_given_up(server: Server, tmp_path: Path) -> None:
    (problem,) = failing(FetchError, tmp_path, server.file("a.whl", drip))
    assert ": only " in problem
    assert " bytes came in 0 s (2 attempts)" in problem


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (404, "404 Not Found\n  why: the file was removed, or this is not the index that the lock was made with"),
        (403, "403 Forbidden\n  why: the server refuses this address or these credentials"),
        (401, "401 Unauthorized\n  why: the server wants a name and password, which elpack does not send"),
        (410, "410 Gone\n  why: the file was removed"),
        (418, "418 I'm a Teapot"),
        (302, "302 Found"),
    ],
)
def test_a_refusal_is_not_tried_again(server: Server, tmp_path: Path, status: int, text: str) -> None:
    file = server.file("a.whl", reply(status))
    (problem,) = failing(FetchError, tmp_path, file)
    assert problem.lower() == f"{file.url}: the server answered {text}".lower()
    assert len(server.requests["/a.whl"]) == 1


def test_wrong_bytes_are_refused_with_both_digests(server: Server, tmp_path: Path) -> None:
    wrong = BODY[:-1] + b"x"
    file = server.file("a.whl", reply(200, wrong))
    (problem,) = failing(HashMismatchError, tmp_path, file)
    assert problem == (
        f"{file.url}: a.whl has sha256 {hashlib.sha256(wrong).hexdigest()}, pinned is {file.sha256}\n"
        "  why: the file was changed or replaced since it was pinned, or something between rewrites downloads\n"
        "  fix: do not trust it; find out which of the two is genuine before you pin anew"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (reply(200, b"<html>Log in</html>"), "19 bytes"),
        (reply(200, BODY * 2), "153600 bytes"),
        (lambda handler: chunked(handler, BODY + b"x"), "more"),
    ],
)
def test_another_size_than_pinned_is_refused(server: Server, tmp_path: Path, answer: Answer, found: str) -> None:
    file = server.file("a.whl", answer)
    (problem,) = failing(HashMismatchError, tmp_path, file)
    head = f"{file.url}: a.whl has {found}, pinned are 76800 bytes with sha256 {file.sha256}\n"
    assert problem.startswith(head + "  why: this is not the file that was pinned")


def chunked(handler: Handler, body: bytes, *, end: bytes = b"0\r\n\r\n") -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n" + end)
    handler.close_connection = not end


def test_an_answer_of_unknown_length_is_taken_whole_or_not_at_all(server: Server, tmp_path: Path) -> None:
    first = server.file("a.whl", lambda handler: chunked(handler, BODY), size=None)
    second = server.file("b.whl", lambda handler: chunked(handler, BODY[:99], end=b""), body=BODY + b"b", size=None)
    assert fetch_all([first], tmp_path)[first.sha256].read_bytes() == BODY
    (problem,) = failing(FetchError, tmp_path, second)
    assert "the connection broke: IncompleteRead" in problem


def test_redirects_are_followed_without_the_credentials(server: Server, other: Server, tmp_path: Path) -> None:
    target = other.file("real.whl")
    file = server.file("a.whl", reply(302, Location=target.url))
    private = RemoteFile("a.whl", file.url.replace("//", "//me:s3cret@"), file.sha256, file.size)
    assert fetch_all([private], tmp_path)[file.sha256].read_bytes() == BODY
    assert server.requests["/a.whl"][0]["Authorization"] == "Basic bWU6czNjcmV0"
    assert "Authorization" not in other.requests["/real.whl"][0]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file:///etc/passwd", "file:///etc/passwd, which is not fetched over file:, only over https:"),
        ("ftp://127.0.0.1/x", "which is not fetched over ftp:, only over https:"),
        ("http://example.org/x?token=1", "http://example.org/x, which is not fetched over http:, only over https:"),
        ("https://[", "which is no URL"),
        ("https://pypi.org@files.example/x", "which holds a user or a password"),
        ("https://me:s3cret@files.example/x", "https://files.example/x, which holds a user or a password"),
    ],
)
def test_redirects_to_elsewhere_are_refused(server: Server, tmp_path: Path, target: str, reason: str) -> None:
    file = server.file("a.whl", reply(301, Location=target))
    (problem,) = failing(FetchError, tmp_path, file)
    assert problem.startswith(f"{file.url}: redirects to ")
    assert problem.endswith(reason)


def test_a_public_host_may_not_redirect_to_this_machine() -> None:
    origin = "https://example.org/a"
    with pytest.raises(FetchError) as caught:
        redirected(origin, "https://localhost/b?token=1", origin)
    assert str(caught.value) == f"{origin}: redirects to https://localhost/b, which is this machine"
    assert redirected(origin, "/b", origin) == "https://example.org/b"


def test_a_redirect_loop_ends(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl", reply(307, Location="/a.whl"))
    assert failing(FetchError, tmp_path, file) == [f"{file.url}: redirects more than 5 times"]
    assert len(server.requests["/a.whl"]) == 6


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/a.whl", "http://example.org/a.whl: is not fetched over http:, only over https:"),
        ("file:///etc/passwd", "file:///etc/passwd: is not fetched over file:, only over https:"),
        ("https:///a.whl", "https:///a.whl: is no URL"),
        ("ftp://example.org/a.whl", "ftp://example.org/a.whl: is not fetched over ftp:, only over https:"),
        ("a.whl", "a.whl: is no URL"),
        ("https://exa mple.org/", "https://exa mple.org/: is no URL"),
        ("https://example.org/a\r\nX: y", "is no URL"),
        ("https://example.org:99999/", "is no URL"),
        (f"https://{'a' * 64}.example.org/", "is no URL"),
        ("https://a..example.org/", "is no URL"),
        ("http://me:s3cret@example.org/a.whl?key=1", "http://example.org/a.whl: is not fetched over http:"),
    ],
)
def test_only_https_urls_are_opened(tmp_path: Path, url: str, reason: str) -> None:
    (problem,) = failing(FetchError, tmp_path, RemoteFile("a.whl", url, Sha256("0" * 64)))
    assert reason in problem
    assert "s3cret" not in problem
    assert "key" not in problem


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def test_an_unreachable_host_is_tried_for_one_file_only(tmp_path: Path) -> None:
    root = f"http://127.0.0.1:{closed_port()}"
    files = [RemoteFile(name, f"{root}/{name}", Sha256(name[0] * 64)) for name in ("a.whl", "b.whl")]
    assert failing(FetchError, tmp_path, *files) == [
        f"{root}/b.whl: no connection: Connection refused (2 attempts)\n  fix: look at the network, then run again",
        f"{root}/a.whl: was not tried, because its host did not answer before",
    ]


def test_all_failures_come_at_once_under_the_gravest(server: Server, tmp_path: Path) -> None:
    files = [server.file("a.whl", reply(404)), server.file("b.whl", reply(200, b"x" * len(BODY)))]
    files[0] = RemoteFile("a.whl", files[0].url, Sha256("a" * 64))
    good = server.file("c.whl", body=BODY + b"c", size=None)
    problems = failing(HashMismatchError, tmp_path, *files, good)
    assert sorted(problem.partition(" ")[0] for problem in problems) == [f"{file.url}:" for file in files]
    assert [path.name for path in tmp_path.iterdir()] == ["c.whl"]


def test_offline_names_what_is_missing(server: Server, tmp_path: Path) -> None:
    files = [server.file("a.whl"), server.file("b.whl", body=BODY + b"b", size=None)]
    fetch_all(files[:1], tmp_path)
    assert fetch_all(files[:1], tmp_path, offline=True)[files[0].sha256] == tmp_path / "a.whl"
    (problem,) = failing(FetchError, tmp_path, *files, offline=True)
    assert problem == (
        f"{tmp_path}/b.whl: is missing, and --offline forbids to fetch it\n"
        f"  fix: run once without --offline, or put the file there from {files[1].url}"
    )
    (tmp_path / "b.whl").write_bytes(b"wrong")
    (problem,) = failing(HashMismatchError, tmp_path, *files, offline=True)
    assert problem.startswith(f"{tmp_path}/b.whl: b.whl has sha256 {hashlib.sha256(b'wrong').hexdigest()}, pinned is ")
    assert "/b.whl" not in server.requests


@pytest.mark.parametrize("name", ["../a.whl", "/etc/a", "", "..", ".hidden", "a\nb", "a b", "-x"])
def test_names_that_leave_the_folder_are_refused(server: Server, tmp_path: Path, name: str) -> None:
    file = server.file("a.whl")
    bad = RemoteFile(name, file.url, file.sha256)
    assert failing(FetchError, tmp_path, bad) == [f"{file.url}: {name!a} is no name for a file"]
    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_name_are_refused(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl")
    clash = RemoteFile("a.whl", file.url, Sha256("1" * 64))
    assert failing(FetchError, tmp_path, file, clash) == ["a.whl: is wanted with two different digests"]


def test_parts_of_a_killed_run_are_removed_and_fresh_ones_left(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".a.whl.x.part", tmp_path / ".b.whl.x.part"
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    fetch_all([], tmp_path)
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_folder_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    file = server.file("a.whl")
    (tmp_path / "a.whl").mkdir()
    assert failing(FetchError, tmp_path, file) == [f"{tmp_path}/a.whl: cannot be read: Is a directory"]


def test_connections_are_kept_and_a_closed_one_is_no_failure(server: Server, tmp_path: Path) -> None:
    ports: list[int] = []

    def noting(body: bytes) -> Answer:
        def answer(handler: Handler) -> None:
            ports.append(handler.client_address[1])
            reply(200, body)(handler)
            # The third request finds the connection closed, of which it was not told.
            handler.close_connection = len(ports) == 2

        return answer

    bodies = [BODY[:-1] + bytes([number]) for number in range(3)]
    files = [server.file(f"{number}.whl", noting(body), body=body) for number, body in enumerate(bodies)]
    fetch_all(files, tmp_path, patience=Patience(attempts=1), threads=1)
    assert ports[0] == ports[1] != ports[2]


@pytest.mark.root
def test_a_full_disk_is_told_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        files = [server.file(f"{n}.whl", body=BODY[:-1] + bytes([n])) for n in range(3)]
        assert failing(DiskFullError, small, *files) == [
            f"{small}: no space left for downloads\n  fix: free some, then run again"
        ]
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.fixture
def secure(tmp_path: Path, needs: Callable[..., None]) -> Iterator[tuple[Server, Path]]:
    """Return a server with a certificate that no system trusts, and the certificate's file."""
    needs("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [*_OPENSSL.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.scheme = "https"
    for running in serve(server):
        yield running, certificate


def test_certificates_are_verified(
    secure: tuple[Server, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, certificate = secure
    file = server.file("a.whl")
    into = tmp_path / "into"
    (problem,) = failing(FetchError, into, file)
    # OpenSSL 1 writes "self signed".
    assert problem.replace("self signed", "self-signed") == (
        f"{file.url}: the server's certificate is not trusted: self-signed certificate\n"
        "  fix: add your authority to the system's trust store, or name a bundle in SSL_CERT_FILE"
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch_all([file], into)[file.sha256].read_bytes() == BODY


def test_proxies_of_the_environment_are_used(
    secure: tuple[Server, Path], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    proxy = server.url("").replace("//", "//me:s3cret@")
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    tunnelled = encrypted.file("a.whl")
    fetch_all([tunnelled], tmp_path)
    (connect,) = server.requests[f"127.0.0.1:{encrypted.server_port}"]
    assert connect["Proxy-Authorization"] == "Basic bWU6czNjcmV0"
    plain = RemoteFile("b.whl", "http://127.0.0.1:9/b.whl", Sha256(hashlib.sha256(b"b").hexdigest()))
    server.answers["http://127.0.0.1:9/b.whl"] = [reply(200, b"b")]
    assert fetch_all([plain], tmp_path)[plain.sha256].read_bytes() == b"b"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (problem,) = failing(FetchError, tmp_path / "new", plain)
    assert "no connection: Connection refused" in problem


def index(server: Server, *files: dict[str, Any], kind: str = JSON, body: bytes | None = None) -> str:
    """Serve an index page for demo and return the index's URL."""
    text = json.dumps({"meta": {"api-version": "1.1"}, "name": "demo", "files": files}).encode()
    server.answers["/simple/demo/"] = [reply(200, text if body is None else body, Content_Type=kind)]
    return server.url("/simple/")


def test_an_index_page_is_read(server: Server) -> None:
    sdist = {"filename": "demo-1.0.tar.gz", "url": "../../f/demo-1.0.tar.gz#x", "hashes": {"sha256": "AB" * 32}}
    more = {"size": 12, "upload-time": "2026-01-21T05:24:41.946Z"}
    url = index(server, {**sdist, **more}, {**sdist, "hashes": {"md5": "1"}}, sdist)
    expected = RemoteFile("demo-1.0.tar.gz", server.url("/f/demo-1.0.tar.gz#x"), Sha256("ab" * 32), 12, 1_768_973_081)
    bare = RemoteFile(expected.filename, expected.url, expected.sha256)
    assert fetch_simple(url, DEMO) == [expected, bare]
    assert server.requests["/simple/demo/"][0]["Accept"] == JSON


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"kind": "text/html"}, "the index answers with 'text/html', elpack needs application/vnd.pypi.simple.v1+json"),
        ({"body": b"{"}, "the index's answer is not PEP 691 JSON: JSONDecodeError("),
        ({"body": b"[]"}, "the index's answer is not PEP 691 JSON: TypeError("),
        ({"body": b'{"files": [{"hashes": {"sha256": "0"}}]}'}, "the index's answer is not PEP 691 JSON: KeyError("),
        ({"body": b'{"files": [1]}'}, "the index's answer is not PEP 691 JSON: TypeError("),
    ],
)
def test_a_page_that_is_no_index_is_refused(server: Server, options: dict[str, Any], reason: str) -> None:
    url = index(server, **options)
    with pytest.raises(FetchError) as caught:
        fetch_simple(url, DEMO)
    assert str(caught.value).startswith(f"{url}demo/: {reason}")


def test_a_page_cut_short_is_fetched_again(server: Server) -> None:
    url = index(server)
    whole = server.answers["/simple/demo/"][0]
    server.answers["/simple/demo/"] = [reply(200, b'{"files": []}', cut=5, Content_Type=JSON), whole]
    assert fetch_simple(url, DEMO, patience=QUICK) == []
    assert len(server.requests["/simple/demo/"]) == 2


def test_an_unreachable_index_is_told() -> None:
    url = f"http://127.0.0.1:{closed_port()}/simple"
    with pytest.raises(FetchError) as caught:
        fetch_simple(url, DEMO, patience=QUICK)
    assert str(caught.value).startswith(f"{url}/demo/: no connection: Connection refused (2 attempts)")


def test_the_sdist_is_found_by_its_digest(server: Server) -> None:
    def entry(name: str, digest: str) -> dict[str, Any]:
        return {"filename": name, "url": f"/f/{name}", "hashes": {"sha256": digest * 64}}

    url = index(
        server, entry("demo-1.0.tar.gz", "a"), entry("demo-1.0-py3-none-any.whl", "b"), entry("demo-1.1.zip", "c")
    )
    found = find_sdist(url, DEMO, Version("1"), Sha256("a" * 64))
    assert (found.filename, found.url) == ("demo-1.0.tar.gz", server.url("/f/demo-1.0.tar.gz"))
    with pytest.raises(HashMismatchError) as mismatch:
        find_sdist(url, DEMO, Version("1.1"), Sha256("a" * 64))
    assert str(mismatch.value).startswith(
        f"{url}demo/: demo-1.1.zip has sha256 {'c' * 64} there, pinned is {'a' * 64}\n"
    )
    with pytest.raises(FetchError) as missing:
        find_sdist(url, DEMO, Version("2"), Sha256("a" * 64))
    assert str(missing.value) == f"{url}demo/: the index has no sdist of demo 2\n  fix: check name and version"

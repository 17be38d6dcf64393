"""A registry that answers what a test says: hostile ones, and those that want to know who asks."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import socketserver
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from elpack.errors import RegistryError
from elpack.fetch.registry import Repository, repository_at
from elpack.fetch.transport import Patience
from elpack.images.oci import OciDigest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Answer = Callable[["Handler"], None]

QUICK = Patience(attempts=2, timeout=0.3, pause=0.01, longest_pause=0.1, slowest=1000)
SECRET = "s3cret-in-no-text"  # noqa: S105 - of nobody
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
MANIFEST = b'{"schemaVersion": 2}'
DIGEST = OciDigest(f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}")
OTHER = OciDigest(f"sha256:{'0' * 64}")
TAG = "/v2/shop/app/manifests/1.0"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.seen[path].append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers[path]
        (answers.pop(0) if len(answers) > 1 else answers[0] if answers else reply(404))(self)

    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - http.server asks for these names

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = defaultdict(list, {"/v2/": [reply(200)]})
        self.seen: dict[str, list[tuple[str, str, Mapping[str, str], bytes]]] = defaultdict(list)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        pass  # our client hangs up on hostile answers, and begins with TLS

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return answer


def refusal(status: int, code: str, message: str = "") -> Answer:
    return reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())


def only_for(authorization: str, granted: Answer, challenge: str) -> Answer:
    def answer(handler: Handler) -> None:
        known = handler.headers.get("Authorization") == authorization
        (granted if known else reply(401, WWW_Authenticate=challenge))(handler)

    return answer


def serve() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve()


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    yield from serve()


@pytest.fixture
def auth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Return a function that writes the auth file; there is an empty one until it is called."""
    path = tmp_path / "auth.json"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def write(document: object) -> None:
        path.write_text(document if isinstance(document, str) else json.dumps(document))

    write({})
    return write


@pytest.fixture
def repository(server: Server, auth: Callable[[object], None]) -> Iterator[Repository]:
    with repository_at(f"{server.host}/shop/app", patience=QUICK) as one:
        yield one


@pytest.fixture
def mine(server: Server, auth: Callable[[object], None]) -> Iterator[Repository]:
    """Return a repository for which there are credentials."""
    auth({"auths": {server.host: {"auth": BASIC.partition(" ")[2]}}})
    with repository_at(f"{server.host}/shop/app", patience=QUICK) as one:
        yield one


def test_a_manifest_is_what_its_digest_says(server: Server, repository: Repository) -> None:
    server.answers[TAG] = [reply(200, MANIFEST, Content_Type="application/vnd.oci.image.index.v1+json; charset=x")]
    assert repository.manifest("1.0") == (MANIFEST, "application/vnd.oci.image.index.v1+json")
    assert repository.digest("1.0") == DIGEST
    assert repository.manifest("2.0") is None
    server.answers[f"/v2/shop/app/manifests/{OTHER}"] = [reply(200, MANIFEST)]
    with pytest.raises(RegistryError, match=f"gave {DIGEST} for {OTHER}"):
        repository.manifest(OTHER)
    server.answers[TAG] = [reply(200, MANIFEST, Docker_Content_Digest=OTHER)]
    with pytest.raises(RegistryError, match=f"gave {DIGEST} for {OTHER}"):
        repository.manifest("1.0")


def test_a_blob_is_what_its_digest_says(server: Server, repository: Repository) -> None:
    server.answers[f"/v2/shop/app/blobs/{OTHER}"] = [reply(200, b"another")]
    with pytest.raises(RegistryError, match=f"for {OTHER}"):
        repository.blob(OTHER, 100)
    assert repository.has_blob(OTHER, 7)
    assert not repository.has_blob(OTHER, 8)


def test_an_answer_beyond_its_limit_is_not_read(server: Server, repository: Repository) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    server.answers[TAG] = [endless]
    with pytest.raises(RegistryError, match="larger than 4194304 bytes"):
        repository.manifest("1.0")
    server.answers[f"/v2/shop/app/blobs/{DIGEST}"] = [endless]
    with pytest.raises(RegistryError, match="larger than 100 bytes"):
        repository.blob(DIGEST, 100)


def test_a_refusal_without_end_is_cut(server: Server, repository: Repository) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(403)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    server.answers[TAG] = [endless]
    with pytest.raises(RegistryError, match="does not let us do this"):
        repository.manifest("1.0")


def test_an_answer_that_drips_is_given_up(server: Server, repository: Repository) -> None:
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.answers[TAG] = [drip]
    start = time.monotonic()
    with pytest.raises(RegistryError, match="drips"):
        repository.manifest("1.0")
    assert time.monotonic() - start < 4


def test_what_may_pass_is_tried_again(server: Server, repository: Repository) -> None:
    server.answers[TAG] = [reply(503), reply(200, MANIFEST)]
    assert repository.digest("1.0") == DIGEST
    server.answers[TAG] = [refusal(500, "UNKNOWN", "a bad day")]
    with pytest.raises(RegistryError, match=r"500 Internal Server Error \(UNKNOWN: a bad day\) \(2 attempts\)"):
        repository.digest("1.0")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(403, "DENIED", "not yours"), "does not let us do this"),
        (refusal(405, "UNSUPPORTED"), "the registry is read-only"),
        (refusal(404, "NAME_UNKNOWN"), "knows no such place"),
        (reply(413), "larger than the registry takes"),
        (reply(507), "the registry's disk is full"),
        (reply(500, b'{"errors": [{"code": "UNKNOWN", "detail": {"Err":28}}]}'), "the registry's disk is full"),
        (reply(418, b"["), "the registry refused: 418"),
        (reply(301, Location="/v2/elsewhere"), "the registry refused: 301"),
    ],
)
def test_what_a_registry_refuses_is_told_in_words(
    server: Server, repository: Repository, answer: Answer, words: str
) -> None:
    server.answers[f"/v2/shop/app/manifests/{DIGEST}"] = [answer]
    with pytest.raises(RegistryError, match=words) as caught:
        repository.put_manifest(DIGEST, MANIFEST, "text/json")
    assert caught.value.exit_code == 32


def test_credentials_go_to_who_asks_for_them(server: Server, mine: Repository) -> None:
    server.answers["/v2/"] = [reply(401, WWW_Authenticate='Basic realm="x"')]
    server.answers[TAG] = [only_for(BASIC, reply(200, MANIFEST), 'Basic realm="x"')]
    assert mine.digest("1.0") == DIGEST
    assert "Authorization" not in server.seen["/v2/"][0][2]


def test_without_credentials_one_is_told_to_log_in(server: Server, repository: Repository) -> None:
    server.answers["/v2/"] = [reply(401, WWW_Authenticate='Basic realm="x"')]
    with pytest.raises(RegistryError, match=r"wants a user and a password[^$]*podman login 127\.0\.0\.1"):
        repository.digest("1.0")


def test_credentials_that_are_refused_are_never_repeated(server: Server, mine: Repository) -> None:
    told = f"{SECRET} of {BASIC} is wrong"
    body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": told}]}).encode()
    server.answers["/v2/"] = [reply(401, body, WWW_Authenticate='Basic realm="x"')]
    server.answers[TAG] = server.answers["/v2/"]
    with pytest.raises(RegistryError, match="refuses the credentials of me") as caught:
        mine.digest("1.0")
    assert SECRET not in str(caught.value)
    assert BASIC.partition(" ")[2] not in str(caught.value)


def test_a_redirect_elsewhere_gets_no_credentials(server: Server, elsewhere: Server, mine: Repository) -> None:
    server.answers["/v2/"] = [reply(401, WWW_Authenticate='Basic realm="x"')]
    place = f"/v2/shop/app/blobs/{DIGEST}"
    server.answers[place] = [reply(307, Location=f"{elsewhere.url}/blob")]
    elsewhere.answers["/blob"] = [reply(200, MANIFEST)]
    assert mine.blob(DIGEST, 100) == MANIFEST
    assert server.seen[place][0][2]["Authorization"] == BASIC
    assert "Authorization" not in elsewhere.seen["/blob"][0][2]


@pytest.mark.parametrize("place", ["/v2/", f"/v2/shop/app/blobs/{DIGEST}"])
@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="{url}/token"'])
def test_who_is_elsewhere_may_not_ask_for_credentials(
    server: Server, elsewhere: Server, mine: Repository, place: str, challenge: str
) -> None:
    server.answers[place] = [reply(307, Location=f"{elsewhere.url}/blob")]
    elsewhere.answers["/blob"] = [reply(401, WWW_Authenticate=challenge.format(url=elsewhere.url))]
    elsewhere.answers["/token"] = [reply(200, b'{"token": "one"}')]
    with pytest.raises(RegistryError, match="refuses the credentials"):
        mine.blob(DIGEST, 100)
    assert not elsewhere.seen["/token"]
    assert not any("Authorization" in seen[2] for seen in elsewhere.seen["/blob"])


@pytest.mark.parametrize("location", ["ftp://example.org/", "http://example.org/", "https://me:you@example.org/", ""])
def test_a_redirect_to_what_is_not_opened_is_refused(server: Server, repository: Repository, location: str) -> None:
    server.answers["/v2/shop/app/blobs/uploads/"] = [reply(202, Location=location)]
    with pytest.raises(RegistryError):
        repository.put_blob(DIGEST, len(MANIFEST), lambda: (MANIFEST,))


def test_redirects_in_a_circle_come_to_an_end(server: Server, repository: Repository) -> None:
    server.answers[TAG] = [reply(302, Location=TAG)]
    with pytest.raises(RegistryError, match="more than 5 times"):
        repository.digest("1.0")


def test_a_token_is_fetched_and_renewed(server: Server, elsewhere: Server, mine: Repository) -> None:
    challenge = f'Bearer realm="{elsewhere.url}/token",service="shop"'
    server.answers["/v2/"] = [reply(401, WWW_Authenticate=challenge)]
    elsewhere.answers["/token"] = [reply(200, b'{"token": "first"}'), reply(200, b'{"access_token": "second"}')]
    server.answers[TAG] = [only_for("Bearer second", reply(200, MANIFEST), challenge)]
    assert mine.digest("1.0") == DIGEST
    (_, path, headers, _), _ = elsewhere.seen["/token"]
    assert path == "/token?service=shop&scope=repository%3Ashop%2Fapp%3Apull%2Cpush"
    assert headers["Authorization"] == BASIC
    assert [seen[2].get("Authorization") for seen in server.seen[TAG]] == ["Bearer first", "Bearer second"]


def test_an_identity_token_is_changed_into_another(server: Server, auth: Callable[[object], None]) -> None:
    auth({"auths": {server.host: {"identitytoken": SECRET}}})
    challenge = f'Bearer realm="{server.url}/token",service="shop"'
    server.answers["/v2/"] = [reply(401, WWW_Authenticate=challenge)]
    server.answers["/token"] = [reply(200, b'{"access_token": "one"}')]
    server.answers[TAG] = [only_for("Bearer one", reply(200, MANIFEST), challenge)]
    with repository_at(f"{server.host}/shop/app", patience=QUICK) as repository:
        assert repository.digest("1.0") == DIGEST
    method, _, _, body = server.seen["/token"][0]
    assert method == "POST"
    assert f"refresh_token={SECRET}".encode() in body


@pytest.mark.parametrize("token", [b"[", b"[]", b"{}", b'{"token": "a\\r\\nX: y"}', b'{"token": "\xc3\xa4"}'])
def test_what_is_no_token_is_never_sent(server: Server, mine: Repository, token: bytes) -> None:
    server.answers["/v2/"] = [reply(401, WWW_Authenticate=f'Bearer realm="{server.url}/token"')]
    server.answers["/token"] = [reply(200, token)]
    with pytest.raises(RegistryError, match="it gives no token"):
        mine.digest("1.0")
    assert not server.seen[TAG]


@pytest.mark.parametrize("realm", ["http://example.org/token", "https://me:you@example.org/", "", "ftp://127.0.0.1/"])
def test_nobody_gets_credentials_at_a_doubtful_address(server: Server, mine: Repository, realm: str) -> None:
    server.answers["/v2/"] = [reply(401, WWW_Authenticate=f'Bearer realm="{realm}",service="x"')]
    with pytest.raises(RegistryError, match="it sends us to"):
        mine.digest("1.0")


def test_a_blob_that_is_there_is_not_sent(server: Server, repository: Repository) -> None:
    server.answers[f"/v2/shop/app/blobs/{DIGEST}"] = [reply(200, MANIFEST)]
    assert not repository.put_blob(DIGEST, len(MANIFEST), lambda: (MANIFEST,))
    assert not server.seen["/v2/shop/app/blobs/uploads/"]


def test_an_upload_that_is_forgotten_begins_anew(server: Server, repository: Repository) -> None:
    server.answers["/v2/shop/app/blobs/uploads/"] = [
        reply(202, Location="/up?state=1"),
        reply(202, Location="/up?state=2"),
    ]
    server.answers["/up"] = [refusal(404, "BLOB_UPLOAD_UNKNOWN"), reply(201)]
    told: list[int] = []
    assert repository.put_blob(DIGEST, len(MANIFEST), lambda: (MANIFEST[:5], MANIFEST[5:]), told.append)
    assert [seen[3] for seen in server.seen["/up"]] == [MANIFEST, MANIFEST]
    assert server.seen["/up"][1][1] == f"/up?state=2&digest={DIGEST.replace(':', '%3A')}"
    assert told == [5, len(MANIFEST)] * 2


def test_a_registry_that_changes_manifests_is_told(server: Server, repository: Repository) -> None:
    server.answers[TAG] = [reply(201, Docker_Content_Digest=OTHER)]
    with pytest.raises(RegistryError, match="it changes manifests"):
        repository.put_manifest("1.0", MANIFEST, "text/json")


def test_who_does_not_answer_is_told(auth: Callable[[object], None]) -> None:
    words = r"no connection to the registry: Connection refused \(2 attempts\)"
    with repository_at("127.0.0.1:1/shop/app", patience=QUICK) as repository, pytest.raises(RegistryError, match=words):
        repository.digest("1.0")


@pytest.mark.parametrize(
    "name",
    ["", "app", "host/", "host/App", "host/a b", "host/a:1", "host/../x", "h@x/app", "[:::]:1/a", f"{'a' * 64}.e/a"],
)
def test_a_name_that_is_none_is_refused(auth: Callable[[object], None], name: str) -> None:
    with pytest.raises(RegistryError, match="names no repository"), repository_at(name):
        pass

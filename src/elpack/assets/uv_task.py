"""Runs inside a sandbox: commands one after the other, and meanwhile the index that they ask, on the loopback.

Called with the path of a task (JSON). Needs nothing but the standard library of the target's Python.

The lock that uv reads is not changed, so uv asks the very hosts that it names; /etc/hosts says that they are here.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class Index(http.server.BaseHTTPRequestHandler):
    """Answers with files by the address that a lock has for them, and knows nothing else."""

    protocol_version = "HTTP/1.1"
    files: dict[str, str] = {}  # noqa: RUF012 - set once, before the first request
    """Path of each file by ``host/path``."""

    def do_GET(self) -> None:
        """Send a whole file; who asks for a part of it gets all, as the standard allows."""
        self._answer(whole=True)

    def do_HEAD(self) -> None:
        """Say what a GET would be answered with."""
        self._answer(whole=False)

    def _answer(self, *, whole: bool) -> None:
        host = self.headers.get("Host", "").rpartition("@")[2]
        address = f"{host}{unquote(urlsplit(self.path).path)}"
        found = self.files.get(address)
        if found is None:
            print(f"elpack: nobody fetched https://{address}", file=sys.stderr, flush=True)
            self.send_error(404)
            return
        with open(found, "rb") as file:  # noqa: PTH123 - pathlib's is the same, slower to import
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.send_header("Content-Type", "application/octet-stream")
            # so that uv takes it from its cache without asking again
            self.send_header("Cache-Control", "max-age=365000000, immutable")
            self.end_headers()
            if whole:
                shutil.copyfileobj(file, self.wfile, 1 << 20)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: uv tells what it could not get."""


class Server(http.server.ThreadingHTTPServer):
    """Shakes hands in the request's own thread, so that nobody waits for another's."""

    context: ssl.SSLContext | None = None
    request_queue_size = 128

    def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Answer the requests of one connection."""
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        Index(request, client_address, self)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Say nothing of a connection that the other side ended."""


def serve(task: dict[str, Any]) -> None:
    """Listen where the lock's files are looked for."""
    Index.files = task["files"]
    for port, secure in task["ports"]:
        server = Server(("127.0.0.1", port), Index)
        if secure:
            server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.context.load_cert_chain(task["certificate"])
        threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Do what the task says; end with the first exit code that is not 0."""
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    serve(task)
    for argv, folder in task["commands"]:
        code = subprocess.run(argv, cwd=folder, env=task["environment"], check=False).returncode
        if code:
            sys.exit(code if code > 0 else 128 - code)


if __name__ == "__main__":
    main()

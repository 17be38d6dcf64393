"""A place that is published to, a folder or one that rsync reaches, and who serves it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import Customer

from elpack.errors import PublishError
from elpack.steps.publish import Wish, publish, roll_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.published import Factory

    from elpack.steps.publish import Published
    from elpack.steps.sign import Signer

REPOSITORY = Path(__file__).parents[3]
THROWAWAY = "THROWAWAY snapshot key, never trust it <throwaway@elpack.invalid>"


ONLY_FOLDER = pytest.mark.parametrize("site", ["folder"], indirect=True)
ONLY_RSYNC = pytest.mark.parametrize("site", ["rsync"], indirect=True)


@dataclass(frozen=True)
class Keys:
    release: Signer
    expiring: Signer
    throwaway: Signer


@contextmanager
def rsync_daemon(folder: Path, work: Path) -> Iterator[str]:
    """Let an rsync daemon on loopback write to a folder; yield its URL."""
    work.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = work / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nmunge symlinks = no\nnumeric ids = yes\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
        f"pid file = {work}/pid\nlog file = {work}/log\n[shop]\npath = {folder}\nread only = no\n"
    )
    argv = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    daemon = subprocess.Popen(argv)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rsync://127.0.0.1:{port}/shop"
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - a server of the test's own
        return bytes(answer.read())


@dataclass
class Site:
    """A place that is published to, and the web server that serves it."""

    factory: Factory
    folder: Path
    to: str
    url: str
    customers: Path

    def publish(self, version: str, revision: int = 1, **wishes: int) -> Published:
        self.factory.make(version)
        return self.again(revision, **wishes)

    def again(self, revision: int = 1, **wishes: int) -> Published:
        release = self.factory.release(revision, f'[publish]\nurl = "{self.url}"\n')
        return publish(release, self.factory.workspace, Wish(self.to, keep=wishes.get("keep", 0)))

    def roll_back(self, publication: str = "") -> Published:
        return roll_back(self.factory.release(), self.factory.workspace, Wish(self.to), publication)

    def customer(self, name: str, **options: str) -> Customer:
        """Return a machine that takes address and key from the .repo file, as a customer does."""
        text = read(f"{self.url}/current/el9/x86_64/shop.repo").decode()
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        assert (said["gpgcheck"], said["repo_gpgcheck"]) == ("1", "1")
        work = self.customers / name
        work.mkdir(parents=True)
        key = work / "key"
        key.write_bytes(read(said["gpgkey"].replace("$basearch", "x86_64")))
        return Customer(work, said["baseurl"], key, options)


def refused(act: Callable[[], object]) -> list[str]:
    with pytest.raises(PublishError) as refusal:
        act()
    return [str(problem) for problem in refusal.value.problems]

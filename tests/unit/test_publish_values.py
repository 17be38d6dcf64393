"""What of publishing needs no tools: the release file's table, rsync's answers, the forms of a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.config.publish import public_url
from elpack.errors import DiskFullError, PublishError
from elpack.run import Command, Completed
from elpack.steps.publish.place import is_remote
from elpack.tools.rsync import Entry, Rsync

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("url", ["https://example.org/shop", "http://[::1]:8000", "file:///srv/shop", "https://a.b/~x"])
def test_addresses(url: str) -> None:
    assert public_url(url) == public_url(f"{url}/") == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/", "is no URL for dnf"),
        ("https:///shop", "is no URL for dnf"),
        ("shop", "is no URL for dnf"),
        ("https://[::1", "is no URL"),
        ("https://me:secret@example.org/", "holds credentials"),
        ("https://me@example.org/", "holds credentials"),
        ("https://example.org/a b", "holds characters"),
        ("https://example.org/$releasever", "holds characters"),
        ("https://example.org/x\ngpgcheck=0", "holds characters"),
        ("https://example.org/../x", "holds characters"),
        ("https://example.org/?x", "holds characters"),
    ],
)
def test_addresses_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        public_url(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("to", ["host:path", "me@host:/srv", "host::module/x", "rsync://host/module"])
def test_what_rsync_reaches(to: str) -> None:
    assert is_remote(to)


@pytest.mark.parametrize("to", ["/srv/www", "www", "./a:b", "/srv/a:b"])
def test_what_is_a_folder(to: str) -> None:
    assert not is_remote(to)


LISTING = """\
drwxr-xr-x            120 2026/11/23 07:01:35 .
lrwxrwxrwx              5 2026/11/23 07:01:35 current -> releases/x y
drwxr-xr-x          4,096 2026/11/23 07:01:35 releases
-rw-r--r--             12 2026/11/23 07:01:35 with a blank
"""


class Answer:
    """Says the same to each command, and keeps them."""

    def __init__(self, stdout: str = "", stderr: str = "", code: int = 0) -> None:
        self.said, self.commands = (code, stdout, stderr), list[Command]()

    def __call__(self, command: Command) -> Completed:
        self.commands.append(command)
        return Completed(command, *self.said, 0.1)


def test_a_listing() -> None:
    assert Rsync("host:x", Answer(LISTING)).entries() == [
        Entry("current", "l", "releases/x y"),
        Entry("releases", "d"),
        Entry("with a blank", "-"),
    ]


def test_a_folder_that_is_not_there() -> None:
    assert Rsync("host:x", Answer(stderr="change_dir failed: No such file or directory (2)", code=23)).entries() is None


def test_other_failures(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="rsync ended with 255\nHost key verification failed"):
        Rsync("host:x", Answer(stderr="Host key verification failed.", code=255)).entries()
    with pytest.raises(DiskFullError):
        Rsync("host:x", Answer(stderr="write failed: No space left on device (28)", code=11)).put(tmp_path, "releases")


def test_only_named_paths_are_fetched(tmp_path: Path) -> None:
    answer = Answer()
    Rsync("host:x", answer).get("releases/1", tmp_path / "to", paths=["a/b/c.rpm", "d"])
    assert answer.commands[0].input == "/a/\0/a/b/\0/a/b/c.rpm\0/d"
    assert answer.commands[0].argv[-2:] == ("host:x/releases/1/", f"{tmp_path}/to/")
    assert "--exclude=*" in answer.commands[0].argv

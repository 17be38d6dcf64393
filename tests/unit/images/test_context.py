"""Which Containerfiles are carried out in parts, and what is sent of a context."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from elpack.engine.context import CONTAINERFILE, parted, runs, sent

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """# generated
FROM --platform=linux/amd64 localhost/base@sha256:00

# what changes least comes first
ADD third-party.tar /
ADD first-party.tar /
LABEL a="b \\
c"
CMD ["x"]
"""


def test_leading_tars_are_a_part_of_their_own() -> None:
    parts = parted(TEXT)
    assert parts
    assert (parts.base, parts.tars) == ("localhost/base@sha256:00", ("third-party.tar", "first-party.tar"))
    assert parts.second("localhost/x:1") == 'FROM localhost/x:1\nLABEL a="b \\\nc"\nCMD ["x"]\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "FROM x\nCMD []\n",
        "FROM x\nUSER 1\nADD a.tar /\n",
        "FROM x AS y\nADD a.tar /\n",
        "FROM x\nADD a.tar /\nFROM z\nADD b.tar /\n",
        "ARG A=x\nFROM $A\nADD a.tar /\n",
        "FROM x\nADD ../a.tar /\n",
        "FROM x\nADD a.tar.gz /\n",
        "FROM x\nADD a.tar /opt\n",
        "FROM x\nADD --chown=1 a.tar /\n",
        "FROM x\nADD a.tar b.tar /\n",
        "FROM x\nADD https://example.org/a.tar /\n",
    ],
)
def test_what_is_not_certain_is_left_to_podman(text: str) -> None:
    assert parted(text) is None


def test_a_later_tar_is_left_to_podman() -> None:
    parts = parted("FROM x\nADD a.tar /\nUSER 1\nADD b.tar /\n")
    assert parts
    assert (parts.tars, parts.rest) == (("a.tar",), "USER 1\nADD b.tar /\n")


def test_run_is_seen_wherever_it_stands() -> None:
    assert runs("FROM x\n  run true\n")
    assert not runs("FROM x\n# RUN\nADD RUN.tar /\n")


def test_the_context_is_sent_without_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ("long" * 40)).write_bytes(b"x" * 1000)
    (tmp_path / "folder" / "link").symlink_to("../a.tar")
    (tmp_path / "a.tar").write_bytes(b"a")
    (tmp_path / "empty").touch()
    (tmp_path / CONTAINERFILE).write_text("another one")
    content = b"".join(sent("FROM scratch\n", tmp_path, ("a.tar",)))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = ["folder", "folder/link", f"folder/{'long' * 40}", "empty", CONTAINERFILE]
        assert sorted(archive.getnames()) == sorted(names)
        file = archive.extractfile(CONTAINERFILE)
        assert file
        assert file.read() == b"FROM scratch\n"
        assert archive.getmember("folder/link").linkname == "../a.tar"
        assert archive.getmember(f"folder/{'long' * 40}").size == 1000

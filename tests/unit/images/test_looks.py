"""Looks into the layers of an archive, and what is remembered of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.layouts import make_archive
from tests.contract.images.programs import program

from elpack.errors import ImageError
from elpack.run import run
from elpack.steps.images.archive import Archive
from elpack.steps.images.looks import Look, look_at

if TYPE_CHECKING:
    from pathlib import Path


def look(folder: Path, *contents: bytes, builder: tuple[bytes, ...] = (b"/home/builder",)) -> None:
    make_archive(folder / "a.tar", layers=contents)
    archive = Archive(folder / "a.tar")
    wanted = Look(frozenset(), builder, layers=1, prefix="/opt/app", seen=folder / "seen.json", runner=run)
    look_at(archive, archive.images[0], wanted)


def test_our_layers_hold_nothing_of_the_builder_s_machine(tmp_path: Path) -> None:
    look(tmp_path, b"in the base: /home/builder/x", b"sound")
    with pytest.raises(ImageError, match="file1: it holds a path of the machine that built it"):
        look(tmp_path, b"sound", b"made in /home/builder/x")


@pytest.mark.parametrize(
    ("place", "refused"),
    [
        ("opt/app/lib/python3.12/site-packages/one.cpython-312-aarch64-linux-gnu.so", True),
        ("opt/app/lib/python3.12/site-packages/one.libs/libx-1234.so.1", True),
        ("opt/app/bin/tool", True),
        ("opt/app/lib/python3.12/site-packages/debugger/attach_linux_arm64.so", False),  # its data
        ("usr/share/other", False),
    ],
)
def test_what_another_architecture_runs_is_refused(tmp_path: Path, place: str, *, refused: bool) -> None:
    wanted = Look(frozenset(), (), layers=1, prefix="/opt/app", seen=tmp_path / "seen.json", runner=run)
    for arch in ("arm64", "amd64"):  # the same layer, in images of both
        make_archive(tmp_path / "a.tar", arch=arch, layers=(b"base", program("arm64")), names={1: place})
        archive = Archive(tmp_path / "a.tar")
        if refused and arch == "amd64":
            with pytest.raises(ImageError, match="it is a program for linux/arm64, and the image is for linux/amd64"):
                look_at(archive, archive.images[0], wanted)
        else:
            look_at(archive, archive.images[0], wanted)


def test_what_was_right_is_not_looked_at_again(tmp_path: Path) -> None:
    look(tmp_path, b"base", b"ours: later")
    look(tmp_path, b"base", b"ours: later", builder=(b"later",))
    with pytest.raises(ImageError):
        look(tmp_path, b"base", b"others: later", builder=(b"later",))


@pytest.mark.parametrize("damaged", ["", "[]", "7", '{"1 sha256": 7}', "all entries"])
def test_a_damaged_memory_counts_for_nothing(tmp_path: Path, damaged: str) -> None:
    seen = tmp_path / "seen.json"
    look(tmp_path, b"base", b"ours")
    sound = json.loads(seen.read_text())
    text = json.dumps({key: {"packages": []} for key in sound}) if damaged == "all entries" else damaged
    seen.write_text(text)
    look(tmp_path, b"base", b"ours")
    assert json.loads(seen.read_text()) == sound


def test_a_layer_that_was_changed_is_refused(tmp_path: Path) -> None:
    make_archive(tmp_path / "a.tar")
    archive = Archive(tmp_path / "a.tar")
    layer = archive.images[0].blobs[-1]
    content = (tmp_path / "a.tar").read_bytes()
    place = content.index(b"".join(archive.pieces(layer)))
    (tmp_path / "a.tar").write_bytes(content[: place + 20] + b"\xff" * 8 + content[place + 28 :])
    wanted = Look(frozenset(), (), layers=1, prefix="/opt/app", seen=tmp_path / "seen.json", runner=run)
    with pytest.raises(ImageError):
        look_at(archive, archive.images[0], wanted)
    assert not (tmp_path / "seen.json").exists()

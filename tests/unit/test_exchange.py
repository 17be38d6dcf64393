from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from elpack.steps import exchange
from elpack.steps.exchange import exchanged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fill(folder: Path, text: str) -> None:
    for name in ("a", "b"):
        (folder / name).write_text(text)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def text_of(name: str, folder: int) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
        return file.read()


def half_filled(final: Path) -> None:
    with exchanged(final) as stage:
        fill(stage, "half")
        raise ZeroDivisionError


def test_the_first_folder_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "out" / "x86_64"
    with pytest.raises(ZeroDivisionError):
        half_filled(final)
    assert list(final.parent.iterdir()) == []
    with exchanged(final) as stage:
        fill(stage, "whole")
        assert not final.exists()
    assert sorted(path.name for path in final.iterdir()) == ["a", "b"]
    assert list(final.parent.iterdir()) == [final]


def test_a_reader_sees_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    final = tmp_path / "x86_64"
    with exchanged(final) as stage:
        fill(stage, "0")
    seen: set[tuple[str, ...]] = set()
    half: set[bool] = set()
    failed: list[OSError] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with opened(final) as folder:
                try:
                    seen.add(tuple(text_of(name, folder) for name in ("a", "b")))
                except FileNotFoundError:
                    # it is being removed, or half: then it still has its name
                    half.add(os.path.samestat(os.fstat(folder), final.stat()))

    def watch() -> None:
        try:
            read()
        except OSError as error:  # the name was gone
            failed.append(error)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for number in range(40):
            with exchanged(final) as stage:
                fill(stage, str(number))
    finally:
        stop.set()
        reader.join()
    assert failed == []
    assert True not in half
    assert len(seen) > 2
    assert all(len(set(texts)) == 1 for texts in seen)


def test_what_is_kept_goes_over_and_the_rest_does_not(tmp_path: Path) -> None:
    final = tmp_path / "x86_64"
    with exchanged(final) as stage:
        fill(stage, "old")
    (final / "logs").mkdir()
    (final / "logs" / "log").write_text("said")
    (final / "debug").mkdir()
    with exchanged(final, kept=("logs", "bundle")) as stage:
        (stage / "a").write_text("new")
    assert sorted(path.name for path in final.iterdir()) == ["a", "logs"]
    assert (final / "logs" / "log").read_text() == "said"


@pytest.mark.parametrize("leftover", [".x86_64.new", ".x86_64.old"])
def test_leftovers_of_a_killed_run_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: str
) -> None:
    monkeypatch.setattr(exchange, "_EXCHANGE", 99)  # the kernel refuses, as NFS would refuse the exchange
    final = tmp_path / "x86_64"
    for text in ("old", "new", "newer"):
        (tmp_path / leftover).mkdir()
        fill(tmp_path / leftover, "left")
        with exchanged(final) as stage:
            assert list(stage.iterdir()) == []
            fill(stage, text)
        assert (final / "a").read_text() == text
        assert list(tmp_path.iterdir()) == [final]


def test_the_old_folder_is_put_back_when_a_run_was_killed_between_two_renames(tmp_path: Path) -> None:
    final = tmp_path / "x86_64"
    (tmp_path / ".x86_64.old").mkdir()
    fill(tmp_path / ".x86_64.old", "old")
    with pytest.raises(ZeroDivisionError):
        half_filled(final)
    assert (final / "a").read_text() == "old"


def test_a_copy_that_finds_the_disk_full_names_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, destination: Path, **_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    def apart(source: Path, destination: Path, **_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))

    monkeypatch.setattr(os, "link", apart)
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(OSError, match="No space left") as caught:
        exchange.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert caught.value.filename == str(tmp_path / "b")


def test_a_full_disk_is_not_answered_by_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_text("text")
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        exchange.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()

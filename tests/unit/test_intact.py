from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.intact import is_intact, remember

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / "sub" / "file"),
        lambda folder: (folder / "sub" / "file").write_text(""),
        lambda folder: (folder / "sub" / "file").unlink(),
        lambda folder: (folder / "sub" / "file").chmod(0o600),
        lambda folder: (folder / "link").unlink(),
        lambda folder: (folder / "more").touch(),
        lambda folder: flip(folder.with_name("folder.sha256")),
    ],
)
def test_any_damage_is_seen(damage: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("content")
    (folder / "link").symlink_to("sub/file")
    assert is_intact(folder), "nobody remembers it: it is taken as it is"
    assert is_intact(folder)
    damage(folder)
    assert not is_intact(folder)


def test_a_folder_is_remembered_before_it_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "file").write_text("content")
    remember(tmp_path / "partial", tmp_path / "final")
    (tmp_path / "partial").rename(tmp_path / "final")
    assert is_intact(tmp_path / "final")
    flip(tmp_path / "final" / "file")
    assert not is_intact(tmp_path / "final")

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from elpack.atomic import write_text

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import pathlib, sys
from elpack.atomic import write_text
for number in range(10**9):
    write_text(pathlib.Path(sys.argv[1]), str(number % 10) * 300_000)
"""


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(5):
        with subprocess.Popen((sys.executable, "-c", _WRITER, str(path))) as writer:
            while not path.exists():
                time.sleep(0.01)
            time.sleep(0.1)
            writer.send_signal(signal.SIGKILL)
        text = path.read_text()
        assert len(text) == 300_000
        assert len(set(text)) == 1
    write_text(path, "last")
    assert list(tmp_path.iterdir()) == [path], "what the killed ones left is gone"


def test_a_living_writer_s_file_is_not_touched(tmp_path: Path) -> None:
    others = tmp_path / f".file.{os.getppid()}-1.new"
    others.write_text("under way")
    write_text(tmp_path / "file", "text")
    assert others.read_text() == "under way"


@pytest.mark.root
def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path) -> None:
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)), check=True)
    try:
        path = tmp_path / "file"
        write_text(path, "old")
        with pytest.raises(OSError, match="No space left") as caught:
            write_text(path, "x" * 200_000)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]
    finally:
        subprocess.run(("umount", str(tmp_path)), check=True)

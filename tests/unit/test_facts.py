from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from elpack.model import RemoteFile, Sha256
from elpack.steps.facts import read_facts

if TYPE_CHECKING:
    from pathlib import Path


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[RemoteFile, Path]:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    info = "demo-1.0.dist-info"
    files = {
        "demo.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_hash(text)},{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (*files.items(), (f"{info}/RECORD", f"{record}{info}/RECORD,,\n")):
            archive.writestr(name, text)
    sha256 = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
    return RemoteFile(path.name, "", sha256), path


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", None])
def test_what_was_read_before_is_taken_as_it_is_or_read_again(
    damage: bytes | None, wheel: tuple[RemoteFile, Path], tmp_path: Path
) -> None:
    file, path = wheel
    told: list[str] = []
    first = read_facts([file], {file.sha256: path}, tmp_path / "facts", told.append)
    (cached,) = (tmp_path / "facts").rglob("*.json")
    content = bytearray(cached.read_bytes())
    content[-20] ^= 1
    cached.write_bytes(content if damage is None else damage)
    assert read_facts([file], {file.sha256: path}, tmp_path / "facts", told.append) == first
    assert [text.endswith("is damaged, and is read again") for text in told] == [True]
    path.unlink()
    assert read_facts([file], {file.sha256: path}, tmp_path / "facts", told.append) == first, "it was kept anew"
    assert len(told) == 1

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from elpack.archives import read_wheel
from elpack.archives.rewheel import rewheel
from elpack.errors import ArchiveError
from elpack.model import Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

INFO = "shop-1.0.dist-info"
METADATA = "Metadata-Version: 2.4\nName: shop\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
FILES = {
    "shop/__init__.py": "",
    "shop/tool": "#!/bin/sh\n",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/WHEEL": WHEEL,
    f"{INFO}/sboms/auditwheel.cdx.json": '{"bomFormat": "CycloneDX"}',
}


def packed(path: Path, files: Mapping[str, str], order: Sequence[str], year: int, modes: Mapping[str, int]) -> Path:
    """Write a wheel as some build would: in its own order, with its own times and modes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in order:
            info = zipfile.ZipInfo(name, (year, 2, 3, 4, 5, 6))
            info.create_system = 3
            info.external_attr = (0o100000 | modes.get(name, 0o664)) << 16
            archive.writestr(info, files[name])
    return path


def record(files: Mapping[str, str]) -> str:
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text)}\n")
    return "".join([*lines, f"{INFO}/RECORD,,\n"])


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    files = {**FILES, f"{INFO}/RECORD": record(FILES)}
    folder = tmp_path / "a"
    folder.mkdir()
    name = "shop-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    return packed(folder / name, files, list(files), 2001, {"shop/tool": 0o775})


def test_builds_that_differ_in_order_times_and_modes_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    files = {**FILES, f"{INFO}/RECORD": record(dict(reversed(FILES.items())))}
    other = packed(tmp_path / wheel.name, files, list(reversed(files)), 2020, {"shop/tool": 0o711})
    assert other.read_bytes() != wheel.read_bytes()
    rewheel(wheel)
    rewheel(other)
    assert other.read_bytes() == wheel.read_bytes()


def test_what_comes_out_is_a_sound_wheel_with_its_sboms(wheel: Path) -> None:
    rewheel(wheel)
    read_wheel(wheel, Sha256(hashlib.sha256(wheel.read_bytes()).hexdigest()))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert names == ["shop/__init__.py", "shop/tool", *sorted(set(FILES) - set(names[:2])), f"{INFO}/RECORD"]
        assert {name: archive.read(name).decode() for name in FILES} == FILES
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert [name for name, mode in modes.items() if mode == 0o755] == ["shop/tool"]
        assert set(modes.values()) == {0o755, 0o644}
        assert len({info.date_time for info in archive.infolist()}) == 1


def test_no_signature_of_another_record_stays(tmp_path: Path) -> None:
    files = {**FILES, f"{INFO}/RECORD.jws": "{}"}
    wheel = packed(tmp_path / "shop-1.0-py3-none-any.whl", files, list(files), 2001, {})
    rewheel(wheel)
    assert f"{INFO}/RECORD.jws" not in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"shop/__init__.py": ""}, "0 .dist-info"),
        ({f"{INFO}/METADATA": "", "other-1.dist-info/METADATA": ""}, "2 .dist-info"),
        ({"../out": "", f"{INFO}/METADATA": ""}, "out"),
    ],
)
def test_what_is_no_wheel_is_refused_and_left_as_it_is(tmp_path: Path, files: dict[str, str], what: str) -> None:
    wheel = packed(tmp_path / "shop-1.0-py3-none-any.whl", files, list(files), 2001, {})
    before = wheel.read_bytes()
    with pytest.raises(ArchiveError, match=what):
        rewheel(wheel)
    assert wheel.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [wheel.name]

"""What dist/wheels holds after a new version, another source, or a smaller matrix: nothing that is not listed."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from elpack.steps.wheels.manifest import remove_stale, still_true
from elpack.wheels.model import Cell, How

if TYPE_CHECKING:
    from pathlib import Path

DEMO = canonicalize_name("demo")
PLACE = ("cp313", "x86_64", "manylinux_2_28")
CELL = Cell(DEMO, *PLACE, How.STANDIN)
SOURCE = "5" * 64


def wheel(file: str = "demo-1.0-cp313-cp313-manylinux_2_28_x86_64.whl", **more: str) -> dict[str, Any]:
    interpreter, arch, platform = PLACE
    told = {"kind": "wheel", "package": "demo", "interpreter": interpreter, "arch": arch, "platform": platform}
    return {"file": file, **told, "sdist": SOURCE, **more}


def kept(
    before: dict[str, Any], *made: dict[str, Any], version: str = "1.0", cells: tuple[Cell, ...] = (CELL,)
) -> list[Any]:
    metadata = SimpleNamespace(name="Demo", version=version)
    sdist = SimpleNamespace(metadata=metadata, sha256=SOURCE)
    return still_true([before], made, [sdist], cells)  # type: ignore[list-item]


def test_what_was_made_before_stays_beside_what_is_made_now() -> None:
    assert kept(wheel()) == [wheel()]
    other = wheel("demo-1.0-cp314-cp314-manylinux_2_28_x86_64.whl", interpreter="cp314")
    assert kept(wheel(), other) == [wheel()]
    aarch64 = wheel("demo-1.0-cp313-cp313-manylinux_2_28_aarch64.whl", arch="aarch64")
    assert kept(wheel(), aarch64) == [wheel()]
    pure = {"file": "demo-1.0-py3-none-any.whl", "kind": "wheel", "package": "demo"}
    sdist = {"file": "demo-1.0.tar.gz", "kind": "sdist", "package": "demo"}
    assert kept(pure, sdist, cells=(Cell(DEMO, "", "", "any", How.PURE),)) == [pure]
    old = {key: value for key, value in wheel().items() if key != "sdist"}
    assert kept(old) == [old]


@pytest.mark.parametrize(
    "before",
    [
        wheel(sdist="6" * 64),
        wheel("other-1.0-cp313-cp313-manylinux_2_28_x86_64.whl", package="other"),
        wheel(platform="manylinux_2_34"),
        wheel("nonsense.whl"),
        {"file": "demo-0.9.tar.gz", "kind": "sdist", "package": "demo"},
    ],
)
def test_what_is_no_more_so_is_not_listed(before: dict[str, Any]) -> None:
    assert kept(before) == []


def test_one_place_has_one_wheel() -> None:
    renamed = wheel("demo-1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl")
    assert kept(wheel(), renamed) == []
    assert kept(wheel(), wheel(sha256="1")) == []
    assert kept(wheel(), version="1.1") == []


def test_only_our_own_files_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    names = ("old.whl", "now.whl", "changed.whl", "users.whl")
    for name in (*names, "../outside.whl"):
        (folder / name).write_text(name)
    (folder / "link.whl").symlink_to(folder / "users.whl")
    listed = [*names[:3], "../outside.whl", "link.whl", "gone.whl", str(tmp_path / "outside.whl")]
    before = [{"file": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in listed]
    (folder / "changed.whl").write_text("a user's own")
    remove_stale(folder, before, [{"file": "now.whl"}])
    assert sorted(path.name for path in folder.iterdir()) == ["changed.whl", "link.whl", "now.whl", "users.whl"]
    assert (tmp_path / "outside.whl").exists()

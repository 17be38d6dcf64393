"""What is bounded, with bounds that a test can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.archives.tars import Member, packed, sound, tar_of
from tests.hostile.archives.zips import Entry, wheel_of

from elpack.archives import Limits, read_sdist, read_wheel
from elpack.errors import ArchiveError
from elpack.model import Sha256

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = Sha256("0" * 64)


@pytest.mark.parametrize("names", [["a"] * 20, [f"m{number}" for number in range(20)]])
def test_members_are_counted_under_whatever_names(names: list[str], tmp_path: Path) -> None:
    wheel, sdist = tmp_path / "lib-1.0-py3-none-any.whl", tmp_path / "app-1.0.tar.gz"
    wheel.write_bytes(wheel_of(*(Entry(f"lib/{name}") for name in names)))
    sdist.write_bytes(packed(tar_of([*sound(), *(Member(f"app-1.0/{name}") for name in names)])))
    for read, path in ((read_wheel, wheel), (read_sdist, sdist)):
        with pytest.raises(ArchiveError, match="holds more than 15 members"):
            read(path, DIGEST, limits=Limits(members=15))


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    wheel = tmp_path / "lib-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_of(Entry("lib/z", bytes(2000))))
    with pytest.raises(ArchiveError, match="unpacks to more than 2000 bytes"):
        read_wheel(wheel, DIGEST, limits=Limits(total=2000))

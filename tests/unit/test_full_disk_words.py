"""Programs say in words that a disk is full; whichever it is, that is one error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.errors import DiskFullError, RepositoryError, SigningError
from elpack.run import Command, Completed
from elpack.tools.createrepo import create_repository
from elpack.tools.gpg import explained

if TYPE_CHECKING:
    from pathlib import Path

FULL = ("C_CREATEREPOLIB: Critical: write: No space left on device", "cp: error writing 'x': Disk quota exceeded")


def failed(text: str) -> Completed:
    return Completed(Command(("tool",)), 1, "", text, 0.0)


@pytest.mark.parametrize("text", FULL)
def test_a_full_disk_is_told_as_one(text: str, tmp_path: Path) -> None:
    with pytest.raises(DiskFullError):
        failed(text).check()
    with pytest.raises(DiskFullError, match=str(tmp_path)):
        create_repository(tmp_path, lambda _: failed(text))
    assert isinstance(explained(text, "rpmsign ended with 1"), DiskFullError)


def test_other_failures_are_not(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError):
        create_repository(tmp_path, lambda _: failed("Bad package"))
    assert isinstance(explained("Bad passphrase", "rpmsign ended with 1"), SigningError)

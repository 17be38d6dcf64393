"""Bits that flip and files that go: noticed by digest, said in a notice, made again; the results are the same."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.faults.lane import RPM_ALL
from tests.faults.project import TARGET
from tests.faults.whole import leftovers, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.project import Project

pytestmark = [pytest.mark.root, pytest.mark.faults]


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file, in an inode of its own: results may be links to it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o644)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.unlink()
    path.touch()


def remove(path: Path) -> None:
    path.unlink()


PLACES = {
    "an RPM of the store": ("store/??/*/*.noarch.rpm", "a stored result was damaged and is made again"),
    "a source RPM of the store": ("store/??/*/*.src.rpm", "a stored result was damaged and is made again"),
    "a record of the store": ("store/??/*/entry.json", "a stored result was damaged and is made again"),
    "a download": ("downloads/attrs-25.4.0-py3-none-any.whl", "is not the file that is pinned, and is fetched anew"),
    "what was read of an archive": ("facts/*/*.json", "is damaged, and is read again"),
    "an RPM of the stand-in": ("standin/el9-standin-*/bash-*.rpm", "was damaged, and is made again"),
    "the metadata of the stand-in": ("standin/el9-standin-*/repodata/repomd.xml", "was damaged, and is made again"),
    "a file of a base root": ("bwrap/bases/*/usr/lib/rpm/macros", "was damaged, and is made again"),
    "a file of the installation's base root": ("roots/bases/*/etc/os-release", "was damaged, and is made again"),
}


@pytest.mark.parametrize("harm", [flip, cut, empty, remove], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("what", PLACES, ids=lambda what: what.replace(" ", "-"))
def test_damage_is_noticed_and_mended(
    what: str, harm: Callable[[Path], None], finished: Project, reference: dict[str, str], seed: int
) -> None:
    pattern, notice = PLACES[what]
    chance = random.Random(seed)  # noqa: S311
    found = sorted(path for path in finished.work.glob(pattern) if path.is_file() and "debug" not in path.name)
    path = chance.choice(found)
    if "base root" in what:
        finished.forget()  # otherwise nothing is built, and no root looked at
    shutil.rmtree(finished.dist, ignore_errors=True)  # what was forgotten took it along
    harm(path)
    said = finished.run(*RPM_ALL)
    gone = harm is remove and what in {"a download", "what was read of an archive"}
    assert notice in said or gone, f"{path}: {said}"
    assert whole(finished.output) == reference
    assert leftovers(finished) == []


def test_a_torn_journal_goes_on(finished: Project, reference: dict[str, str]) -> None:
    journal = finished.work / "store" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7] + b"\xff\x00")
    finished.forget(but=tuple(node for node in finished.names().values() if node and "toy" not in node))
    finished.run(*RPM_ALL)
    assert whole(finished.output) == reference
    assert "stack/toy" in finished.built()


def test_what_says_that_the_smoke_test_passed_is_no_obstacle(finished: Project) -> None:
    (finished.output / "logs" / "passed.json").write_text("{")
    assert "packages in" in finished.run(*RPM_ALL)


def test_modes_of_stored_files_are_mended(finished: Project, reference: dict[str, str]) -> None:
    for path in finished.work.glob("store/??/*/*.rpm"):
        path.chmod(0o600)
    finished.run("rpm", *TARGET, "--builder", "bwrap")
    assert whole(finished.output) == reference
    assert {path.stat().st_mode & 0o777 for path in finished.output.rglob("*.rpm")} == {0o644}

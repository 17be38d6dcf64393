"""What became of one place of the matrix: a build that fails keeps no other from its end."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from tests.unit.test_archives_wheel import INFO, METADATA, make_wheel

from elpack.archives.rewheel import rewheel
from elpack.errors import ArchiveError, CommandError, ElpackError, Problem
from elpack.steps.wheels.build import Built, _one
from elpack.wheels.model import Cell, How

if TYPE_CHECKING:
    from pathlib import Path

DEMO = canonicalize_name("demo")
FILES = {"demo.py": b"x = 1\n", f"{INFO}/METADATA": METADATA}


@dataclass
class Builder:
    """Writes a sound wheel of demo 1.0, or breaks off."""

    error: ElpackError | None = None

    def build(self, _facts: object, _sdist: Path, into: Path) -> None:
        if self.error:
            raise self.error
        wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        rewheel(make_wheel(into, {**FILES, f"{INFO}/WHEEL": wheel}, name="demo-1.0-py3-none-any.whl"))


def built(work: Path, builder: Builder, version: str = "1.0") -> Built:
    metadata = SimpleNamespace(name="Demo", version=version)
    building = SimpleNamespace(
        pure=builder,
        workspace=SimpleNamespace(work=work),
        wanted=SimpleNamespace(again=False),
        say=lambda _: None,
        sdists={
            DEMO: (SimpleNamespace(sha256="0" * 64, metadata=metadata, filename="demo.tar.gz"), work / "demo.tar.gz")
        },
        project=SimpleNamespace(release=SimpleNamespace(date=dt.date(2026, 11, 20))),
        judges=SimpleNamespace(twine=lambda _: ()),
    )
    return _one(building, Cell(DEMO, "", "", "any", How.PURE))  # type: ignore[arg-type]


def test_a_wheel_is_kept_and_not_built_again(tmp_path: Path) -> None:
    first = built(tmp_path, Builder())
    assert (first.error, first.wheel and first.wheel.name) == ("", "demo-1.0-py3-none-any.whl")
    assert built(tmp_path, Builder(CommandError(Problem("not asked")))).wheel == first.wheel


@pytest.mark.parametrize("error", [CommandError(Problem("it did not end in time")), ArchiveError(Problem("a bomb"))])
def test_a_build_that_breaks_off_is_told_at_its_place(tmp_path: Path, error: ElpackError) -> None:
    assert built(tmp_path, Builder(error)).problems == error.problems


def test_a_wheel_of_another_version_takes_no_other_s_place(tmp_path: Path) -> None:
    found = built(tmp_path, Builder(), "2.0")
    assert found.wheel is None
    assert "its build gave another package's wheel, or another version's: demo-1.0" in found.error

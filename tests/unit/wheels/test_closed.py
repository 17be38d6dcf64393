"""Places that were asked for by name and cannot be built here: no run that makes nothing of them ends well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from elpack import cli
from elpack.builders.emulation import MACHINE, Emulation
from elpack.steps.wheels import build, closed
from elpack.steps.wheels.build import Built, WantedWheels
from elpack.wheels.model import Cell, How

if TYPE_CHECKING:
    from pathlib import Path

DEMO = canonicalize_name("demo")
CELLS = (
    Cell(DEMO, "", "", "any", How.PURE, "pure"),
    Cell(DEMO, "cp312", MACHINE, "manylinux_2_28", How.NOT, "no registry has cp312"),
    Cell(DEMO, "cp313", MACHINE, "manylinux_2_28", How.STANDIN),
    Cell(DEMO, "cp313", "s390x", "manylinux_2_28", How.NOT, "no binfmt entry runs s390x programs"),
)


@pytest.mark.parametrize(
    "wanted",
    [WantedWheels(), WantedWheels(interpreters=("cp313",), arches=(MACHINE,), policies=("manylinux_2_28",))],
)
def test_what_can_be_built_is_built_and_the_rest_is_told_in_the_table(wanted: WantedWheels) -> None:
    assert [*closed.closed(wanted, CELLS)] == []


def test_words_for_which_nothing_can_be_built_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "emulation", lambda arch: Emulation(arch, "", "no binfmt", "install the emulator"))
    wanted = WantedWheels(interpreters=("cp313", "cp312"), arches=("s390x", MACHINE))
    interpreter, arch = closed.closed(wanted, CELLS)
    assert (interpreter.where, interpreter.why) == ("--interpreter", "no registry has cp312")
    assert interpreter.what == "no wheel that was asked for can be built for cp312 here"
    assert "--image manylinux" in interpreter.fix
    assert (arch.where, arch.why) == ("--arch", "no binfmt entry runs s390x programs")
    assert arch.fix.startswith("install the emulator\non Debian: apt-get install")


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--interpreter", "cp312"), 34)])
def test_the_command_tells_them_after_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
) -> None:
    monkeypatch.setattr(build, "build_wheels", lambda *_: (Built(CELLS[1]),))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["wheel", "build", *words])
    assert done.exit_code == code
    assert "no registry has cp312" in done.stdout
    assert ("can be built for cp312 here" in done.stderr) is bool(words)

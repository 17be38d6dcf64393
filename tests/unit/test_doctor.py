"""What `elpack doctor` says of architectures that are not this machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from elpack import cli
from elpack.builders.emulation import MACHINE, Emulation
from elpack.model import ARCHES

if TYPE_CHECKING:
    from pathlib import Path

OTHER = next(arch for arch in ARCHES if arch != MACHINE)
RELEASE = f"""
[release]
name = "shop"
date = 2026-11-01
packager = "A Packager <a@example.org>"
[application]
name = "shop"
[first-party.shop]
version = "1.0"
[targets.el9]
arches = ["{MACHINE}", "{OTHER}"]
[builds.workers]
{OTHER} = ["ssh", "arm.example.org", "elpack", "worker"]
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an emulator that does not work."""
    off = Emulation(OTHER, "", "the binfmt entry is switched off", "echo 1 >[it]")
    monkeypatch.setattr("elpack.report.doctor.state", str)
    monkeypatch.setattr("elpack.report.doctor.emulation", lambda _: off)
    monkeypatch.setenv("COLUMNS", "300")


def lines(file: Path) -> list[str]:
    said = CliRunner().invoke(cli.app, ["doctor", "--file", str(file)]).stdout
    return [" ".join(line.split()) for line in said.splitlines() if f"programs of {OTHER}" in line]


NONE = f"programs of {OTHER} build, install, smoke do not run here: the binfmt entry is switched off (echo 1 >[it])"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RELEASE, [f"{NONE}; compiled by ssh arm.example.org elpack worker"]),
        (RELEASE.replace(f', "{OTHER}"', ""), []),
        ("[release", [NONE]),  # it looks at the machine all the same
    ],
)
def test_architectures_of_the_release(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "elpack.toml").write_text(text)
    assert lines(tmp_path / "elpack.toml") == expected


def test_without_a_release_file_it_tells_of_every_architecture(tmp_path: Path) -> None:
    assert lines(tmp_path / "elpack.toml") == [NONE]

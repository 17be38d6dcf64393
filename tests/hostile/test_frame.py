"""The judge itself: it lets a sound release pass, and it notices each thing that it looks for."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.hostile.corpus import EVIL, LIBRARY, Case, Project, Sandbox, active, at_most, harmless
from tests.hostile.text.payloads import MACROS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile.corpus import Verdict


def nothing(_: Project) -> None:
    """Change nothing."""


def as_bundle(project: Project) -> None:
    project.layout = "bundle"


def as_library(project: Project) -> None:
    project.release = LIBRARY


@pytest.mark.parametrize("make", [nothing, as_bundle, as_library])
def test_a_sound_release_is_packaged(make: Callable[[Project], None], judged: Callable[[Case], Verdict]) -> None:
    assert judged(Case("sound/release", "nothing is hostile", make, says=("Summary:        A library",))).parsed


EXECUTED = (f"%({EVIL})", MACROS["lua"], MACROS["lua-bare"], f"%{{expand:%({EVIL})}}", f'%[0 || "%({EVIL})"]')


@pytest.mark.parametrize("text", EXECUTED)
def test_the_canary_sings(text: str, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("rpm")
    sandbox = Sandbox(tmp_path)
    with sandbox.entered():
        subprocess.run(["rpm", "--eval", text], check=False, capture_output=True)
    assert sandbox.mark.exists()


def test_what_is_touched_outside_is_seen(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    before = sandbox.outside()
    (sandbox.home / "own").write_text("")
    assert sandbox.outside() == before
    (sandbox.home.parent / "new").write_text("")
    assert sandbox.outside() != before


def test_what_takes_too_long_fails() -> None:
    def busy() -> None:
        while True:
            pass

    with pytest.raises(TimeoutError), at_most(1):
        busy()


def test_what_a_spec_does_is_told_from_prose() -> None:
    spec = f"Summary: {EVIL} a\n# b\nRequires: c\n%description\n{EVIL} d\n%prep\ne\n%changelog\n- f\n"
    said = [line for _, line in active(spec)]
    assert said == ["Requires: c", "%prep", "e"]


@pytest.mark.parametrize("char", ["\x1b", "\r", "\x00", "\x85", "\u202e", "\u2028", "\u200b", "\udc80", "\x9b"])
def test_what_a_terminal_would_follow_is_not_harmless(char: str) -> None:
    assert not harmless(char)

"""Hostile wheels that elpack does not refuse, installed as a build root does it: what is where, and of what mode."""

from __future__ import annotations

import argparse
import re
import stat
import warnings
from typing import TYPE_CHECKING

import pytest
from tests.hostile.archives import wheels
from tests.hostile.corpus import Project, Sandbox, wheel

from elpack.assets import elpack_buildroot as buildroot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.corpus import Case

PREFIX = "/opt/shop"


@pytest.mark.parametrize("case", [case for case in wheels.CASES if case.code == 0], ids=lambda case: case.id)
def test_a_wheel_stays_within_the_prefix(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795132800")
    project, sandbox = Project(), Sandbox(tmp_path)
    case.make(project)
    (sandbox.home / project.wheel_name).write_bytes(project.wheel or wheel(project.wheel_files))
    before = sandbox.outside()
    with sandbox.entered(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = _installed(sandbox.home, project.wheel_name)
    assert not sandbox.mark.exists()
    assert sandbox.outside() == before
    assert {path.name for path in sandbox.home.iterdir()} <= {"root", "files", project.wheel_name}
    assert said == "" or said.startswith("elpack: ")
    for path in (sandbox.home / "root").rglob("*"):
        inside = f"/{path.relative_to(sandbox.home / 'root')}"
        assert inside == "/opt" or inside.startswith(PREFIX)
        assert not path.is_symlink()
        if path.is_file() and not said:
            assert stat.S_IMODE(path.stat().st_mode) in {0o644, 0o755}
            assert _is_listed(inside, (sandbox.home / "files").read_text())


def _installed(home: Path, wheel: str) -> str:
    """Return what the script says when it gives up, "" when all is installed."""
    options = argparse.Namespace(
        root=str(home / "root"),
        prefix=PREFIX,
        files=str(home / "files"),
        wheel=str(home / wheel),
        drop=[],
        keep_source=[],
        licence=[],
        must_have=[],
        script_suffix="",
        native=False,
        pure=False,
    )
    try:
        buildroot.wheel(options)
    except SystemExit as end:
        return str(end.code)
    return ""


def _is_listed(path: str, listed: str) -> bool:
    """Tell whether rpm would find a file in the list, in which brackets quote and a question mark is any character."""
    for line in listed.splitlines():
        quoted = re.fullmatch(r'(?:%\w+ )?"(.*)"', line)
        assert quoted is not None, line
        pattern = re.sub(
            r"\\\[(.)\\?\]|\\\[\\(.)\\?\]", lambda found: re.escape(found[1] or found[2]), re.escape(quoted[1])
        )
        if re.fullmatch(pattern.replace(r"\?", "."), path):
            return True
    return False

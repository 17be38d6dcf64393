"""Committed specs: one folder for each target with the first-party packages of every layout, and their changelog."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.unit.plans import RELEASE, Case

from elpack.changelog import parse_changelog
from elpack.errors import PlanError
from elpack.model import Layout
from elpack.pipeline import Options, Session
from elpack.plan.make import make_plan
from elpack.render import render_all
from elpack.report.terminal import Terminal
from elpack.steps.project import Project
from elpack.steps.specs import write_specs
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

PACKAGER = "Shop <shop@example.org>"
SPECS = {
    "app.spec",
    "app-bundle.spec",
    "shop-python3.12-own.spec",
    "python3.12-own.spec",
}


def sessions(home: Path, *layouts: Layout) -> list[Session]:
    """Return sessions that have planned these layouts of one release."""
    workspace, found = Workspace(home / "elpack.toml", home / ".elpack", home / "dist"), []
    for layout in layouts or tuple(Layout):
        closure = Case().closure[1:] if layout is Layout.SYSTEM else Case().closure
        inputs = Case(closure=closure, release=f"{RELEASE}[system]\n", layout=layout).inputs()
        session = Session(workspace, Options(layout=layout), Terminal(Console(file=StringIO())))
        path = home / "specs" / "changelog.toml"
        changelog = parse_changelog(path.read_text(), "changelog.toml") if path.exists() else ()
        session.project, session.target = Project(inputs.release, {}, changelog), inputs.target
        session.plan = make_plan(inputs)
        session.specs = render_all(session.plan, PACKAGER, 1)
        found.append(session)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_first_party_specs_of_every_layout_are_written(home: Path) -> None:
    assert write_specs(sessions(home), None, compare=False) == len(SPECS)
    folder = home / "specs" / "el9"
    assert names(folder) == SPECS
    assert "\nName:           app-bundle\n" in (folder / "app-bundle.spec").read_text()
    assert "%global _prefix /opt/shop\n" in (folder / "shop-python3.12-own.spec").read_text()
    assert "/opt/shop" not in (folder / "python3.12-own.spec").read_text()
    entries = parse_changelog((home / "specs" / "changelog.toml").read_text(), "changelog.toml")
    assert sorted((entry.dist, str(entry.version)) for entry in entries) == [("app", "2.0"), ("own", "1.5")]


def test_what_is_of_no_package_any_more_is_removed(home: Path) -> None:
    folder = home / "specs" / "el9"
    folder.mkdir()
    for name in ("old.spec", "notes.txt"):
        (folder / name).write_text("kept?\n")
    write_specs(sessions(home), None, compare=False)
    assert names(folder) == {*SPECS, "notes.txt"}


def test_one_layout_alone_leaves_the_specs_of_others(home: Path) -> None:
    write_specs(sessions(home), None, compare=False)
    folder = home / "specs" / "el9"
    assert write_specs(sessions(home, Layout.BUNDLE), None, compare=True) == 3
    write_specs(sessions(home, Layout.BUNDLE), None, compare=False)
    assert names(folder) == SPECS


def test_committed_specs_are_compared(home: Path) -> None:
    write_specs(sessions(home), None, compare=False)
    assert write_specs(sessions(home), None, compare=True) == len(SPECS)
    folder = home / "specs" / "el9"
    changed = folder / "app-bundle.spec"
    changed.write_text(changed.read_text().replace("Conflicts:", "Obsoletes:"))
    (folder / "python3.12-own.spec").unlink()
    (folder / "old.spec").write_text("Name: old\n")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(PlanError) as refusal:
        write_specs(sessions(home), None, compare=True)
    problems = {problem.where.rpartition("/")[2]: problem for problem in refusal.value.problems}
    assert problems.keys() == {"app-bundle.spec", "python3.12-own.spec", "old.spec"}
    assert "\n-Obsoletes:      app\n" in problems["app-bundle.spec"].what
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_a_version_without_its_entry_is_a_difference(home: Path) -> None:
    write_specs(sessions(home), None, compare=False)
    (home / "specs" / "changelog.toml").unlink()
    with pytest.raises(PlanError) as refusal:
        write_specs(sessions(home), None, compare=True)
    assert sorted(problem.what for problem in refusal.value.problems) == [
        "app 2.0-1 has no entry",
        "own 1.5-1 has no entry",
    ]


def test_elsewhere_all_specs_of_one_layout_are_written_and_nothing_is_kept_of_it(home: Path) -> None:
    out = home / "out"
    out.mkdir()
    count = write_specs(sessions(home, Layout.BUNDLE), out, compare=False)
    assert {
        "app-bundle.spec",
        "shop-python3.12-lib.spec",
        "python3.12-hatchling.spec",
        "elpack-rpm-macros.spec",
    } <= names(out)
    assert count == len(names(out)) == len(sessions(home, Layout.BUNDLE)[0].plan.packages)
    assert names(home / "specs") == set()
    (out / "mine.spec").write_text("Name: mine\n")
    write_specs(sessions(home, Layout.STACK), out, compare=False)
    assert {"mine.spec", "app-bundle.spec", "app.spec"} <= names(out)

"""Which layouts a release has, what each is for and is tested by, and where its results lie."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.unit.plans import HEAD, Case

from elpack import errors
from elpack.config import parse_release
from elpack.model import Layout
from elpack.plan.make import make_plan
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.steps.project import Project
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import Release

TARGETS = """\
[first-party]
app = {}
own = {}
base = {}
[targets.el9]
"""
APPLICATION = '[application]\nname = "app"\n'
LIBRARY = '[library]\nname = "own"\n'
SMOKE = '[[smoke.step]]\nname = "of the application"\nrun = ["app"]\n'
SYSTEM_SMOKE = '[[system.smoke.step]]\nname = "of the libraries"\nrun = ["own"]\n'


def release(rest: str = "", layout: str = "", subject: str = APPLICATION) -> Release:
    """Return a release of this layout, its own where none is given."""
    own = f'layout = "{layout}"\n' if layout else ""
    return parse_release(HEAD + own + subject + TARGETS + rest)


def test_a_release_s_own_layout_is_its_first() -> None:
    assert release().layouts == (Layout.STACK, Layout.BUNDLE)
    assert release(layout="bundle").layouts == (Layout.BUNDLE, Layout.STACK)
    assert release(layout="system").layouts == (Layout.SYSTEM,)
    system = '[system]\npackages = ["own"]\n'
    assert release(system).layouts == (Layout.STACK, Layout.BUNDLE, Layout.SYSTEM)
    assert release(system, layout="bundle").layouts == (Layout.BUNDLE, Layout.STACK, Layout.SYSTEM)
    assert release(system, layout="system").layouts == (Layout.SYSTEM,)


def test_an_empty_table_adds_layout_system_too() -> None:
    # all first-party packages but the application, without extras
    assert Layout.SYSTEM in release("[system]\n").layouts


def test_what_layout_system_is_for() -> None:
    assert release().system_packages() == ("base", "own")
    assert release(layout="system").system_packages() == ("app",)
    assert release(layout="system", subject=LIBRARY).system_packages() == ("own",)
    assert release('[system]\npackages = ["own"]\n').system_packages() == ("own",)
    named = '[system]\npackages = ["own", "app"]\n'
    assert release(named, layout="system").system_packages() == ("app", "own")


def test_the_smoke_test_of_each_layout() -> None:
    both = release(SMOKE + SYSTEM_SMOKE)
    for layout in (Layout.STACK, Layout.BUNDLE):
        assert [step.name for step in both.smoke_of(layout).steps] == ["of the application"]
    assert [step.name for step in both.smoke_of(Layout.SYSTEM).steps] == ["of the libraries"]
    # an application's test is none of its libraries, so without one of their own they have none
    assert release(SMOKE + "[system]\n").smoke_of(Layout.SYSTEM).steps == ()
    own = release(SMOKE + '[system]\npackages = ["app"]\n', layout="system")
    assert [step.name for step in own.smoke_of(Layout.SYSTEM).steps] == ["of the application"]
    other = release(SMOKE + SYSTEM_SMOKE, layout="system")
    assert [step.name for step in other.smoke_of(Layout.SYSTEM).steps] == ["of the libraries"]


def test_where_smoke_steps_find_things() -> None:
    stack = make_plan(Case().inputs())
    assert stack.places() == {"prefix": "/opt/shop", "python": "/opt/shop/bin/python"}
    bundle = make_plan(Case(layout=Layout.BUNDLE).inputs())
    assert bundle.places() == stack.places()
    system = make_plan(Case(layout=Layout.SYSTEM).inputs())
    assert system.places() == {"prefix": "/usr", "python": "/usr/bin/python3.12"}


def session_of(tmp_path: Path, layout: str, of: Release) -> Session:
    """Return a session that was asked for a layout, of a project that was read."""
    session = Session(
        Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist"),
        Options(layout=layout),
        Terminal(Console(file=StringIO())),
    )
    session.project, session.target = Project(of, {}), Case().target
    return session


def test_the_release_s_own_layout_is_made_unless_another_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "el9" / "x86_64"
    own = session_of(tmp_path, "", release())
    assert (own.layout, own.output) == ("stack", folder)
    assert session_of(tmp_path, "stack", release()).output == folder
    assert session_of(tmp_path, "bundle", release()).output == folder / "bundle"
    bundle = release(layout="bundle")
    assert session_of(tmp_path, "", bundle).layout == "bundle"
    assert session_of(tmp_path, "stack", bundle).output == folder / "stack"
    assert session_of(tmp_path, "system", release("[system]\n")).output == folder / "system"


@pytest.mark.parametrize("layout", ["system", "Stack", "debug"])
def test_a_layout_that_the_release_has_not(layout: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as refusal:
        _ = session_of(tmp_path, layout, release()).layout
    assert str(refusal.value.problems[0]) == (
        f"--layout: the release has no layout {layout}\n"
        "  fix: one of: stack, bundle; [system] in elpack.toml adds layout system"
    )

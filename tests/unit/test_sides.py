"""On which side a package of another architecture is built, and what is known of that before anything is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import APP, OWN, RELEASE, Case, Dist, el9

from elpack.builders.emulation import MACHINE, Emulation
from elpack.config import parse_release
from elpack.errors import ForeignArchError
from elpack.model import ARCHES, Way
from elpack.plan.make import make_plan
from elpack.render import render_all
from elpack.session import Options, Session, Unseen
from elpack.steps.base import Base
from elpack.steps.closure import Sources
from elpack.steps.gather import Gathered
from elpack.steps.project import Project
from elpack.steps.sides import build_of, predict, sides_for, way_of, ways_of
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

OTHER = next(arch for arch in ARCHES if arch != MACHINE)
COMPILED = replace(OWN, native="it compiles")
WORKER = f'[builds.workers]\n{OTHER} = ["ssh", "there"]\n'


def planned(folder: Path, arch: str, way: Way | None, more: str, home: Session | None) -> Session:
    workspace = Workspace(folder / "elpack.toml", folder / ".elpack", folder / "dist")
    session = Session(workspace, Options(arch=arch, way=way), Unseen(), home=home)
    fast = Dist("fast", wheel=f"cp312-cp312-manylinux_2_28_{arch}")
    case = Case(target=el9(arch=arch), release=RELEASE + more)
    inputs = case.instead(COMPILED, replace(APP, requires=("own", "lib", "fast")), fast).inputs()
    session.project, session.target = Project(parse_release(case.release), {}), inputs.target
    session.gathered = Gathered(inputs, Sources(None, {}, {}, ()))
    session.plan = make_plan(inputs)
    session.specs = render_all(session.plan, "Shop <shop@example.org>", 1)
    session.base = Base((), f"the base of {arch}")
    return session


def both(folder: Path, way: Way | None = None, more: str = "") -> Session:
    """Return a session for the other architecture beside this machine's own."""
    return planned(folder, OTHER, way, more, planned(folder, MACHINE, way, more, None))


@pytest.fixture
def emulates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elpack.steps.sides.emulation", lambda arch: Emulation(arch, "/usr/bin/qemu"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elpack.steps.sides.emulation", lambda arch: Emulation(arch, "", "there is none", "get one"))


@pytest.mark.usefixtures("emulates")
def test_what_runs_no_foreign_code_is_built_on_the_machine_s_own_side(tmp_path: Path) -> None:
    session = both(tmp_path)
    sided = build_of(sides_for(session))
    found = {node: sided.build.sides[name] for node, name in sided.names[OTHER].items()}
    of = {str(node).rpartition("/")[2]: (side.target.arch, side.base, side.rank) for node, side in found.items()}
    home, other = f"the base of {MACHINE}", f"the base of {OTHER}"
    assert (of["lib"], of["fast"], of["own"]) == ((MACHINE, home, 0), (OTHER, home, 1), (OTHER, other, 1))
    ways = ways_of(session)
    assert ways is not None
    assert {str(node).rpartition("/")[2]: word for node, word in ways.words.items()}["own"] == "emulated"


@pytest.mark.usefixtures("bare")
def test_a_plan_is_shown_where_nothing_here_compiles_for_it(tmp_path: Path) -> None:
    session = both(tmp_path)
    ways = ways_of(session)
    assert ways is not None
    assert "nowhere" in ways.words.values()
    assert predict(session) == frozenset()
    with pytest.raises(ForeignArchError):
        build_of(sides_for(session))


def test_who_only_looks_makes_no_cross_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: object) -> None:
        raise AssertionError("it made the compiler's packages")

    monkeypatch.setattr("elpack.steps.sides.cross_repositories", made)
    assert predict(both(tmp_path, Way.CROSS)) == frozenset()
    assert not (tmp_path / ".elpack").exists()
    with pytest.raises(AssertionError, match="it made"):
        build_of(sides_for(both(tmp_path, Way.CROSS)))


@pytest.mark.usefixtures("emulates")
@pytest.mark.parametrize(("way", "more"), [(Way.CROSS, ""), (Way.NATIVE, WORKER), (None, WORKER)])
def test_a_release_for_another_architecture_alone_is_emulated_and_nothing_else(
    tmp_path: Path, way: Way | None, more: str
) -> None:
    """What the other ways need of this machine's own side is not there."""
    alone = planned(tmp_path, OTHER, way, more, None)
    with pytest.raises(ForeignArchError) as refusal:
        build_of(sides_for(alone))
    assert f'add "{MACHINE}" there, or --way emulated' in str(refusal.value)
    assert predict(alone) == frozenset()
    alone.options = replace(alone.options, way=Way.EMULATED)
    assert way_of(alone).way is Way.EMULATED
    assert {side.target.arch for side in build_of(sides_for(alone)).build.sides.values()} == {OTHER}

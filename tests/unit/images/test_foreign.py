"""What images of another architecture need is told before anything is built or run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders.emulation import MACHINE, Emulation
from elpack.errors import ForeignArchError, ImageError
from elpack.images.model import Flavour, Images, Mode
from elpack.steps.base import Base
from elpack.steps.images import foreign, home
from elpack.steps.images.foreign import need_for_build, need_to_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target

OTHER = "aarch64" if MACHINE == "x86_64" else "x86_64"


@pytest.fixture(autouse=True)
def _nothing_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(arch: str) -> Emulation:
        return Emulation(arch, "", f"no binfmt entry runs {arch} programs", "install it")

    monkeypatch.setattr(foreign, "emulation", none)


def session(arch: str, mode: Mode = Mode.HOST) -> Any:
    images = Images(mode=mode, flavours=(Flavour.UV, Flavour.RPM))
    release = SimpleNamespace(images=images)
    return SimpleNamespace(target=SimpleNamespace(arch=arch), project=SimpleNamespace(release=release))


def test_flavour_uv_needs_nothing_and_flavour_rpm_emulation() -> None:
    need_for_build(session(OTHER), [Flavour.UV], None)
    with pytest.raises(ForeignArchError) as caught:
        need_for_build(session(OTHER), (), None)
    (problem,) = caught.value.problems
    assert problem.what == f"programs of {OTHER} do not run here: no binfmt entry runs {OTHER} programs"
    assert "scriptlets" in problem.why
    assert "update-binfmts" in problem.fix
    assert "--flavour uv needs none of this" in problem.fix


def test_mode_container_runs_what_is_not_there() -> None:
    for asked, own in ((Mode.CONTAINER, Mode.HOST), (None, Mode.CONTAINER)):
        with pytest.raises(ImageError, match="--mode host"):
            need_for_build(session(OTHER, own), [Flavour.UV], asked)
    need_for_build(session(OTHER, Mode.CONTAINER), [Flavour.UV], Mode.HOST)


def test_flavour_pypy_is_of_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "emulation", lambda arch: Emulation(arch, "/usr/bin/qemu"))
    with pytest.raises(ImageError, match=f"flavour pypy for {OTHER} is compiled on such a machine only"):
        need_for_build(session(OTHER), [Flavour.UV, Flavour.PYPY], None)
    need_for_build(session(MACHINE), [Flavour.PYPY], None)


def test_an_image_is_run_to_be_tried() -> None:
    with pytest.raises(ForeignArchError, match="an image is tried by running it"):
        need_to_run(OTHER)


def test_this_machines_own_need_nothing() -> None:
    need_for_build(session(MACHINE, Mode.CONTAINER), (), None)
    need_to_run(MACHINE)


def test_where_it_is_emulated_all_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "emulation", lambda arch: Emulation(arch, "/usr/bin/qemu"))
    need_for_build(session(OTHER), (), None)
    need_to_run(OTHER)


def test_uv_works_on_this_machines_side(
    make_target: Callable[[str, str], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the session's own, the one that the run has for this machine, or one that is made."""
    own, other = make_target("3.12", MACHINE), make_target("3.12", OTHER)
    here, there, made = Base((), "here"), Base((), "there"), Base((), "made")
    nothing = SimpleNamespace(
        options=SimpleNamespace(offline=True), screen=SimpleNamespace(notice=print), workspace=None
    )
    native: Any = SimpleNamespace(target=own, base=here, home=None, has_base=True, **vars(nothing))
    assert home.home_of(native).base is here
    foreign_one: Any = SimpleNamespace(target=other, base=there, home=native, **vars(nothing))
    assert home.home_of(foreign_one) == home.Home(own, here)
    foreign_one.home = None
    monkeypatch.setattr(home, "base", lambda wanted, *_, **__: made if wanted == own else there)
    assert home.home_of(foreign_one) == home.Home(own, made)

"""Several architectures in one build: what is shared, what is repackaged, and whose results come first."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import APP, LIB, OWN, Case, Dist, el9
from tests.unit.workshop import Notes, Workshop

from elpack.errors import BuildError, ForeignArchError, Problem
from elpack.plan.joint import Joint, Making, Planned, join, makings_of
from elpack.plan.keys import root_nodes
from elpack.plan.make import make_plan
from elpack.plan.model import NodeId
from elpack.render import render_all
from elpack.steps.build import Build, Side
from elpack.steps.sides import Sided
from elpack.steps.together import Together
from elpack.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from elpack.builders import BuildJob
    from elpack.steps.results import Result

HOME, OTHER = "x86_64", "aarch64"
COMPILED = replace(OWN, native="it compiles")
FAST = {HOME: "cp312-cp312-manylinux_2_28_x86_64", OTHER: "cp312-cp312-manylinux_2_28_aarch64"}


def planned(arch: str, *changes: Dist) -> Planned:
    """Return the plan of a small application: `own` compiles, `fast` is a wheel of the architecture."""
    case = Case().instead(
        COMPILED, replace(APP, requires=("own", "lib", "fast")), Dist("fast", wheel=FAST[arch]), *changes
    )
    plan = make_plan(replace(case, target=el9(arch=arch)).inputs())
    return Planned(plan, render_all(plan, "Shop <shop@example.org>", 1))


def joint(crossed: tuple[str, ...] = ()) -> Joint:
    return join(planned(HOME), [planned(OTHER)], crossed)


def node(name: str, arch: str = "") -> NodeId:
    return NodeId(f"{arch}:{name}" if arch else name)


def test_what_is_the_same_is_shared_wheels_are_repackaged_and_the_rest_compiles() -> None:
    how = makings_of(planned(HOME), planned(OTHER))
    assert {name for name, making in how.items() if making is Making.COMPILED} == {"stack/own"}
    assert {name for name, making in how.items() if making is Making.REPACKAGED} == {"stack/fast"}
    assert {"macros", "runtime", "stack/lib", "stack/app", "buildroot/hatchling"} <= {
        name for name, making in how.items() if making is Making.SHARED
    }


def test_noarch_packages_that_differ_are_not_shared() -> None:
    how = makings_of(planned(HOME), planned(OTHER, replace(LIB, licence="ISC")))
    assert how[node("stack/lib")] is Making.REPACKAGED
    # a build root that holds it is another one, too: what waits for it still has the same spec, and is shared
    assert how[node("stack/app")] is Making.SHARED


def test_a_build_root_holds_what_is_of_its_own_architecture() -> None:
    found = joint()
    inside = found.roots[node("stack/own", OTHER)]
    assert "buildroot/hatchling" in inside
    assert found.roots[node("stack/app")] == join(planned(HOME), ()).roots[node("stack/app")]
    assert not any(name.startswith(OTHER) for name in found.roots[node("stack/app")])
    assert found.nodes[1][node("stack/lib")] == "stack/lib"
    assert found.nodes[1][node("stack/own")] == "aarch64:stack/own"


def test_who_cross_compiles_has_the_machine_s_own_packages_beside() -> None:
    needing = replace(COMPILED, requires=("fast",))
    plans = planned(HOME, needing), planned(OTHER, needing)
    name = node("stack/own", OTHER)
    assert node("stack/fast") not in join(plans[0], [plans[1]]).roots[name]
    assert {node("stack/fast"), node("stack/fast", OTHER)} <= set(join(plans[0], [plans[1]], (OTHER,)).roots[name])


def test_two_noarch_packages_of_one_name_are_refused_before_a_cross_build() -> None:
    """In one root dnf would take either."""
    needing = replace(COMPILED, requires=("lib",))
    plans = planned(HOME, needing), planned(OTHER, needing, replace(LIB, licence="ISC"))
    assert join(plans[0], [plans[1]]).roots[node("stack/own", OTHER)]
    with pytest.raises(ForeignArchError, match=r"a cross build needs shop-python3\.12-lib of both sides"):
        join(plans[0], [plans[1]], (OTHER,))


def test_a_package_of_the_other_architecture_alone_is_cross_compiled_as_well() -> None:
    app = replace(APP, requires=("own", "lib", "fast", "extra"))
    extra = replace(COMPILED, name="extra")
    found = join(planned(HOME), [planned(OTHER, app, extra)], (OTHER,))
    inside = set(found.roots[node("stack/extra", OTHER)])
    assert inside == set(found.roots[node("stack/own", OTHER)])
    assert "buildroot/hatchling" in inside


def test_a_part_holds_what_must_be_built_before() -> None:
    part = {package.node for package in joint().only(frozenset((node("stack/own", OTHER),))).packages}
    assert {"aarch64:stack/own", "buildroot/hatchling", "macros"} <= part
    assert not part & {"stack/own", "stack/app"}


@dataclass
class Both:
    """A build of both architectures in a folder."""

    folder: Path
    home: Workshop
    other: Workshop

    def sided(self, **changes: object) -> Sided:
        found, plans = joint(), (planned(HOME), planned(OTHER))
        own = Side(plans[0].plan.target, "base", self.home.builder, self.folder / "logs")
        side = Side(plans[1].plan.target, "base", self.other.builder, self.folder / "logs", rank=1)
        paths = {}
        for package in found.packages:
            for source in package.sources:
                paths[str(source.sha256)] = self.folder / source.filename
                (self.folder / source.filename).write_text(source.filename)
        build = Build(
            packages=found.packages,
            roots=found.roots,
            sides={one.node: side if one.node.startswith(OTHER) else own for one in found.packages},
            specs=found.specs,
            sources=paths,
            store=Store(self.folder / "store"),
            work=self.folder / "work",
            workers=2,
            index=lambda folder: (folder / "repodata").mkdir(),
        )
        return Sided(replace(build, **changes), {HOME: found.nodes[0], OTHER: found.nodes[1]})  # type: ignore[arg-type]


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path, Workshop(), Workshop())


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give an event that whoever waits for gets at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


def test_the_machine_s_own_results_are_there_while_the_others_are_still_built(
    both: Both, gate: threading.Event
) -> None:

    def wait(_: BuildJob) -> None:
        assert gate.wait(30)

    both.other.hook = wait
    with Together(both.sided()) as together:
        notes = Notes()
        own = together.finish(HOME, notes)
        assert set(own) == {package.node for package in planned(HOME).plan.packages}
        assert not any(name.startswith(OTHER) for name in notes.of("built"))
        gate.set()
        later = Notes()
        others = together.finish(OTHER, later)
    assert set(others) == {package.node for package in planned(OTHER).plan.packages}
    assert sorted(later.of("built")) == ["aarch64:stack/fast", "aarch64:stack/own"]
    assert {name for name, result in others.items() if not result.cached} == {"stack/fast", "stack/own"}
    assert others[node("stack/lib")].entry == own[node("stack/lib")].entry


def test_jobs_say_what_they_are_for(both: Both) -> None:
    both.sided().build.run()
    compiled = planned(HOME).plan.by_node()[node("stack/own")].nvr
    assert both.home.jobs[compiled].arch == HOME
    assert {job.arch for job in both.other.jobs.values()} == {OTHER}


def test_what_is_noarch_is_built_for_one_architecture_whatever_the_side(tmp_path: Path) -> None:
    """The RPM's lead holds it."""
    other, workshop = planned(OTHER), Workshop()
    alone = Both(tmp_path, workshop, workshop).sided()
    side = alone.build.sides[node("stack/own", OTHER)]
    build = replace(
        alone.build,
        packages=other.plan.packages,
        roots=root_nodes(other.plan),
        specs=other.specs,
        sides={package.node: side for package in other.plan.packages},
    )
    build.run()
    arches = {package.node: workshop.jobs[package.nvr].arch for package in other.plan.packages}
    assert arches[node("stack/lib")] == HOME
    assert arches[node("stack/own")] == arches[node("stack/fast")] == OTHER


def test_a_failure_of_another_architecture_keeps_nobody_from_the_machine_s_own(both: Both) -> None:
    both.other.failing = {planned(OTHER).plan.by_node()[node("stack/own")].nvr}
    with Together(both.sided(workers=1)) as together:
        assert len(together.finish(HOME, Notes())) == len(planned(HOME).plan.packages)
        with pytest.raises(BuildError) as refusal:
            together.finish(OTHER, Notes())
    assert "rpmbuild ended with 1" in str(refusal.value)


def test_a_failure_of_the_machine_s_own_ends_the_others(both: Both, gate: threading.Event) -> None:
    """What runs is ended, and is no failure of its own."""
    both.home.failing = {planned(HOME).plan.by_node()[node("stack/app")].nvr}

    def wait(job: BuildJob) -> None:
        gate.wait(30)
        raise BuildError(Problem("it was ended", where=job.name))

    both.other.hook = wait
    with pytest.raises(BuildError) as refusal, Together(both.sided(stop=gate.set)) as together:
        together.finish(HOME, Notes())
    assert "it was ended" not in str(refusal.value)
    assert "app" in str(refusal.value)


def test_who_waits_for_one_architecture_does_not_spin_over_news_of_another(
    both: Both, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, looks = threading.Event(), 0

    def wait(job: BuildJob) -> None:
        if job.name == planned(HOME).plan.by_node()[node("stack/own")].nvr:
            assert begun.wait(30)
            assert gate.wait(30)

    def other(_: BuildJob) -> None:
        begun.set()

    def done(build: Build) -> Mapping[NodeId, Result]:
        nonlocal looks
        looks += 1
        return real(build)

    real = Build.done
    monkeypatch.setattr(Build, "done", done)
    both.home.hook, both.other.hook = wait, other
    with Together(both.sided()) as together:
        threading.Timer(0.7, gate.set).start()
        together.finish(HOME, Notes())
        assert begun.is_set()
        assert looks < 100
        together.finish(OTHER, Notes())


def test_a_failure_of_the_last_architecture_lets_its_other_builds_end(both: Both) -> None:
    failing, slow = (planned(OTHER).plan.by_node()[node(name)].nvr for name in ("stack/fast", "stack/own"))
    failed, stopped = threading.Event(), threading.Event()

    def hook(job: BuildJob) -> None:
        if job.name == failing:
            assert begun.wait(30)
            failed.set()
        if job.name == slow:
            begun.set()
            assert failed.wait(30)
            assert not stopped.wait(0.5)

    begun = threading.Event()
    both.other.hook, both.other.failing = hook, {failing}
    with Together(both.sided(stop=stopped.set)) as together:
        together.finish(HOME, Notes())
        with pytest.raises(BuildError):
            together.finish(OTHER, Notes())
    assert any(path.name.startswith(slow) for path in both.folder.glob("store/??/*/*"))


def test_leaving_by_an_error_ends_what_runs(both: Both, gate: threading.Event) -> None:
    begun = threading.Event()

    def wait(job: BuildJob) -> None:
        begun.set()
        assert gate.wait(30)
        raise BuildError(Problem("it was ended", where=job.name))

    both.home.hook = wait

    def interrupted() -> None:
        with Together(both.sided(stop=gate.set)):
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(both.home.built) <= 2


def test_where_nothing_here_compiles_for_it_the_error_says_that(both: Both) -> None:
    both.other.failing = {planned(OTHER).plan.by_node()[node("stack/own")].nvr}
    both.other.error = ForeignArchError
    with pytest.raises(ForeignArchError):
        both.sided().build.run()

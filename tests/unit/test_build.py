"""Carrying out a plan: order, parallel work, what is kept and what is told when something fails."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import APP, HATCHLING, LIB, OWN, Case, Dist
from tests.unit.workshop import Notes, Workshop

from elpack.errors import BuildError, CommandError, DiskFullError, Problem
from elpack.manifest import manifest
from elpack.plan.joint import Planned, join
from elpack.plan.keys import root_nodes
from elpack.plan.make import make_plan
from elpack.plan.model import NodeId
from elpack.steps.build import Build, Side
from elpack.steps.repository import packages_of
from elpack.steps.results import debug_packages, published
from elpack.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders import BuildJob
    from elpack.plan.model import Package, Plan
    from elpack.steps.results import Result


@dataclass
class Site:
    """A folder with a store, in which plans are carried out one after the other."""

    folder: Path
    notes: Notes = field(default_factory=Notes)

    def build(self, plan: Plan, workshop: Workshop, **changes: object) -> Build:
        sources = self.folder / "sources"
        sources.mkdir(exist_ok=True)
        paths = {}
        for package in plan.packages:
            for source in package.sources:
                paths[str(source.sha256)] = sources / source.filename
                paths[source.sha256].write_text(source.filename)
        self.notes = Notes()
        side = Side(plan.target, "base", workshop.builder, self.folder / "logs")
        build = Build(
            packages=plan.packages,
            roots=root_nodes(plan),
            sides={package.node: side for package in plan.packages},
            specs={package.node: f"Name: {package.rpm}\n" for package in plan.packages},
            sources=paths,
            store=Store(self.folder / "store"),
            work=self.folder / "work",
            watcher=self.notes,
            workers=2,
            index=lambda folder: (folder / "repodata").mkdir(),
        )
        return replace(build, **changes)  # type: ignore[arg-type]

    def run(self, plan: Plan, workshop: Workshop, **changes: object) -> dict[NodeId, Result]:
        return self.build(plan, workshop, **changes).run()

    def stored(self) -> set[str]:
        return {path.name for path in self.folder.glob("store/??/*/*.src.rpm")}

    def events(self) -> list[tuple[str, str]]:
        return [(event["event"], event["node"]) for event in Store(self.folder / "store").events()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def plan_of(*changes: Dist) -> Plan:
    return make_plan(Case().instead(*changes).inputs())


def nvr(plan: Plan, node: str) -> str:
    return plan.by_node()[NodeId(node)].nvr


def refused(site: Site, plan: Plan, workshop: Workshop, **changes: object) -> list[str]:
    with pytest.raises(BuildError) as refusal:
        site.run(plan, workshop, **changes)
    assert refusal.value.exit_code == 18
    return [str(problem) for problem in refusal.value.problems]


def test_everything_is_built_once_and_only_after_what_it_waits_for(site: Site) -> None:
    plan, workshop = plan_of(), Workshop()
    results = site.run(plan, workshop)
    assert set(results) == {package.node for package in plan.packages}
    assert sorted(workshop.built) == sorted(package.nvr for package in plan.packages)
    assert not any(result.cached for result in results.values())
    order = {node: number for number, node in enumerate(site.notes.of("built"))}
    assert sorted(site.notes.of("started")) == sorted(order)
    for package in plan.packages:
        begin = site.notes.events.index(("started", package.node))
        for node in package.waits_for:
            assert site.notes.events.index(("built", node)) < begin
    assert site.events()[0] == ("built", "macros")
    assert len(site.events()) == len(plan.packages)


def test_a_build_root_may_hold_exactly_what_the_plan_says(site: Site) -> None:
    plan, workshop = plan_of(replace(OWN, requires=("lib",))), Workshop()
    site.run(plan, workshop)
    names = ("macros", "buildroot/hatchling", "buildroot/pip", "runtime", "stack/lib")
    assert workshop.roots[nvr(plan, "stack/own")] == {f"{nvr(plan, node)}.noarch.rpm" for node in names}
    assert workshop.roots[nvr(plan, "macros")] == set()


def test_a_part_of_a_plan_is_built_as_in_the_whole(site: Site) -> None:
    plan, workshop = plan_of(replace(OWN, requires=("lib",))), Workshop()
    all_of_it = join(Planned(plan, {package.node: "" for package in plan.packages}), ())
    part = all_of_it.only(frozenset((NodeId("stack/lib"),)))
    some = site.run(plan, workshop, packages=part.packages)
    assert "stack/lib" in some
    assert "stack/own" not in some
    whole = site.run(plan, workshop)
    assert {node: result.entry for node, result in whole.items() if node in some} == {
        node: result.entry for node, result in some.items()
    }
    assert len(workshop.built) == len(plan.packages)
    assert all_of_it.only(frozenset(all_of_it.roots)) == all_of_it
    assert all_of_it.only(frozenset()).packages == ()


def test_jobs_carry_sources_generated_files_and_requirements(site: Site) -> None:
    plan, workshop = plan_of(), Workshop()
    site.run(plan, workshop)
    job = workshop.jobs[nvr(plan, "stack/own")]
    assert job.requires == (
        "python3.12-devel",
        "pyproject-rpm-macros",
        "elpack-rpm-macros = 0.1.0-1.el9",
        "python3.12-hatchling = 1.30.0-1.el9",
        "python3.12-pip = 26.0.0-1.el9",
        "shop-python3.12 = 3.12.0-1.el9",
    )
    assert job.log == site.folder / "logs" / f"{job.name}.log"
    assert [path.name for path in job.sources] == [OWN.filename]
    assert [path.name for path in workshop.jobs[nvr(plan, "runtime")].sources] == ["pyvenv.cfg"]
    assert list((site.folder / "work").iterdir()) == []


def test_results_tell_rpms_and_source_rpm_apart(site: Site) -> None:
    plan = plan_of()
    results = site.run(plan, Workshop())
    result = results[NodeId("stack/lib")]
    name = nvr(plan, "stack/lib")
    assert [path.name for path in result.rpms] == [f"{name}.noarch.rpm"]
    assert result.srpm.name == f"{name}.src.rpm"
    assert result.seconds == 1.5
    assert result.digests() == [hashlib.sha256(result.rpms[0].read_bytes()).hexdigest()]
    assert [path.name for path in published(plan, results)] == sorted(
        f"{package.nvr}.noarch.rpm" for package in plan.published()
    )


SEVERAL = ("own+x-1-1.noarch.rpm", "own-debuginfo-1-1.x86_64.rpm", "own-debugsource-1-1.x86_64.rpm")


def test_one_source_package_may_give_several_rpms(site: Site) -> None:
    plan = plan_of(replace(OWN, requires=("lib",)))
    own = nvr(plan, "stack/lib")
    workshop = Workshop(subpackages={own: SEVERAL})
    results = site.run(plan, workshop)
    result = results[NodeId("stack/lib")]
    assert [path.name for path in result.rpms] == [f"{own}.noarch.rpm", SEVERAL[0]]
    assert [path.name for path in result.debug] == list(SEVERAL[1:])
    assert debug_packages(results) == list(result.debug)
    assert result.digests() == [hashlib.sha256(path.read_bytes()).hexdigest() for path in result.rpms]
    assert set(SEVERAL) & {path.name for path in published(plan, results)} == {SEVERAL[0]}
    # nothing is compiled against debug packages
    assert set(SEVERAL) & workshop.roots[nvr(plan, "stack/own")] == {SEVERAL[0]}
    output = site.folder / "output"
    for place, paths in packages_of(plan, results).places().items():
        (output / place).mkdir(parents=True)
        for path in paths:
            (output / place / path.name).write_bytes(path.read_bytes())
    listed = manifest(plan, results.values(), output)
    kinds = {file.name: file.kind for file in listed.files}
    assert [kinds[name] for name in SEVERAL] == ["rpm", "debug-rpm", "debug-rpm"]
    assert {(file.node, file.dist) for file in listed.files if file.name in SEVERAL} == {("stack/lib", "lib==0.9")}
    assert len(listed.files) == sum(len(result.entry.files) for result in results.values())


def test_a_dist_may_be_called_like_a_debug_package(site: Site) -> None:
    plan = plan_of(replace(OWN, requires=("lib",)), Dist("x-debuginfo"))
    result = site.run(plan, Workshop())[NodeId("stack/x-debuginfo")]
    assert not result.debug
    assert len(result.rpms) == 1


def test_several_rpms_are_kept_when_another_package_of_the_root_fails(site: Site) -> None:
    plan = plan_of(*(Dist(f"w{number}") for number in range(4)))
    first, last = nvr(plan, "stack/w0"), nvr(plan, "stack/w3")
    workshop = Workshop(failing={last}, subpackages={first: SEVERAL})
    refused(site, plan, workshop, workers=1)
    assert workshop.built.count(first) == 1
    assert {path.name for path in site.folder.glob("store/??/*/own*.rpm")} == set(SEVERAL)


def test_wheels_share_a_root_and_sdists_have_their_own(site: Site) -> None:
    more = [Dist(f"w{number}") for number in range(5)]
    plan, workshop = plan_of(*more), Workshop()
    site.run(plan, workshop, workers=1)
    sdists = {nvr(plan, node) for node in ("stack/own", "stack/app")}
    for batch in workshop.batches:
        assert len(batch) == 1 or not sdists & set(batch)
    wheels = [package.nvr for package in plan.packages if package.template == "wheel.spec.j2"]
    shared = next(batch for batch in workshop.batches if len(batch) > 1)
    assert sorted(shared) == sorted(wheels)


def test_wheels_are_shared_out_to_all_workers(site: Site) -> None:
    site.run(plan_of(), Workshop())
    plan, workshop = plan_of(*(Dist(f"w{number}") for number in range(8))), Workshop()
    site.run(plan, workshop, workers=2)
    assert [len(batch) for batch in workshop.batches] == [4, 4]


def test_no_root_takes_more_wheels_than_allowed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elpack.steps.build.WHEELS_AT_ONCE", 3)
    plan, workshop = plan_of(*(Dist(f"w{number}") for number in range(8))), Workshop()
    site.run(plan, workshop, workers=1)
    assert max(map(len, workshop.batches)) == 3


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_as_many_roots_as_workers_are_busy(site: Site, workers: int) -> None:
    site.run(plan_of(), Workshop())
    together = threading.Barrier(workers)

    def hook(job: BuildJob) -> None:
        if job.name in {batch[0] for batch in workshop.batches[:workers]}:
            together.wait(10)

    workshop = Workshop(hook=hook)
    site.run(plan_of(*(Dist(f"w{number}") for number in range(9))), workshop, workers=workers)
    assert workshop.most_at_once == workers


def test_a_second_run_builds_nothing(site: Site) -> None:
    plan = plan_of()
    first = site.run(plan, Workshop())
    workshop = Workshop()
    second = site.run(plan, workshop)
    assert workshop.batches == []
    assert all(result.cached for result in second.values())
    assert {node: result.digests() for node, result in second.items()} == {
        node: result.digests() for node, result in first.items()
    }
    assert sorted(site.notes.of("cached")) == sorted(package.node for package in plan.packages)


def test_what_is_cached_is_known_without_building(site: Site) -> None:
    plan = plan_of()
    assert site.build(plan, Workshop()).predict() == frozenset()
    site.run(plan, Workshop())
    assert site.build(plan, Workshop()).predict() == {package.node for package in plan.packages}


def test_a_changed_spec_rebuilds_what_comes_after_it(site: Site) -> None:
    plan = plan_of()
    site.run(plan, Workshop())
    specs = {package.node: f"Name: {package.rpm}\n" for package in plan.packages}
    specs[NodeId("buildroot/hatchling")] += "# changed\n"
    workshop = Workshop()
    site.run(plan, workshop, specs=specs)
    # own's and app's roots hold hatchling; its RPM is another one now
    assert set(workshop.built) == {nvr(plan, node) for node in ("buildroot/hatchling", "stack/own", "stack/app")}


def test_equal_output_stops_the_cascade(site: Site) -> None:
    site.run(plan_of(), Workshop())
    # another source gives hatchling another key, but the same RPM comes of it
    plan = plan_of(HATCHLING)
    package = plan.by_node()[NodeId("buildroot/hatchling")]
    generated = replace(package, generated=(("note", "has no effect"),))
    plan = replace(plan, packages=tuple(generated if p is package else p for p in plan.packages))
    workshop = Workshop()
    results = site.run(plan, workshop)
    assert workshop.built == [nvr(plan, "buildroot/hatchling")]
    assert results[NodeId("stack/own")].cached


def test_a_failure_is_told_with_what_was_not_built(site: Site) -> None:
    plan = plan_of()
    name = nvr(plan, "stack/own")
    assert refused(site, plan, Workshop(failing={name})) == [
        f"{name}: rpmbuild ended with 1",
        "not built, because they wait for these: app",
    ]
    assert site.notes.of("failed") == ["stack/own"]
    assert ("failed", "stack/own") in site.events()


def test_after_a_failure_nothing_is_begun(site: Site) -> None:
    # own is the most urgent; with one worker nothing else is under way when it fails
    plan = plan_of(replace(APP, requires=("own",)))
    workshop = Workshop(failing={nvr(plan, "macros")})
    found = refused(site, plan, workshop, workers=1)
    assert len(workshop.built) == 1
    assert found[1].startswith("not built, because they wait for these: ")
    assert len(found) == 2


def test_what_was_not_begun_is_told_apart_from_what_cannot_be(site: Site) -> None:
    other = Dist("other", wheel="", native="slow", build_requires=("hatchling",))
    plan = plan_of(replace(OWN, native="slower"), other)
    name = nvr(plan, "stack/own")
    case = Case().instead(replace(OWN, native="slower"), other)
    plan = make_plan(replace(case, release=case.release + '[policy]\nother = "sdist"\n').inputs())
    found = refused(site, plan, Workshop(failing={name}), workers=1)
    assert found == [
        f"{name}: rpmbuild ended with 1",
        "not built, because they wait for these: app",
        "not begun after that: shop-python3.12-other\n  fix: --keep-going builds them, too",
    ]


def test_keep_going_builds_what_does_not_depend_on_the_failure(site: Site) -> None:
    other = Dist("other", wheel="", build_requires=("hatchling",))
    plan = plan_of(other)
    failing = nvr(plan, "stack/own")
    found = refused(site, plan, Workshop(failing={failing}), workers=1, keep_going=True)
    assert found == [f"{failing}: rpmbuild ended with 1", "not built, because they wait for these: app"]
    built = {package.nvr for package in plan.packages} - {failing, nvr(plan, "stack/app")}
    assert site.stored() == {f"{name}.src.rpm" for name in built}


def test_keep_going_tells_every_failure(site: Site) -> None:
    plan = plan_of()
    failing = {nvr(plan, "stack/own"), nvr(plan, "stack/lib")}
    found = refused(site, plan, Workshop(failing=failing), keep_going=True)
    assert sorted(found[:2]) == sorted(f"{name}: rpmbuild ended with 1" for name in failing)
    assert found[2:] == ["not built, because they wait for these: app"]


def test_the_next_run_goes_on_after_a_failure(site: Site) -> None:
    plan = plan_of()
    first = Workshop(failing={nvr(plan, "stack/own")})
    refused(site, plan, first)
    second = Workshop()
    site.run(plan, second)
    assert set(second.built) == {package.nvr for package in plan.packages} - (set(first.built) - first.failing)


BATCH = tuple(Dist(f"w{number}") for number in range(6))


@pytest.mark.parametrize("number", range(6))
def test_one_wheel_that_fails_takes_no_other_of_its_batch_with_it(site: Site, number: int) -> None:
    plan = plan_of(*BATCH)
    failing = nvr(plan, f"stack/w{number}")
    found = refused(site, plan, Workshop(failing={failing}), workers=1, keep_going=True)
    assert found == [f"{failing}: rpmbuild ended with 1"]
    assert site.notes.of("failed") == [f"stack/w{number}"]
    assert site.stored() == {f"{package.nvr}.src.rpm" for package in plan.packages} - {f"{failing}.src.rpm"}


def test_what_was_finished_before_the_failure_is_not_built_again(site: Site) -> None:
    plan = plan_of(*BATCH)
    failing = nvr(plan, "stack/w3")
    workshop = Workshop(failing={failing})
    found = refused(site, plan, workshop, workers=1)
    shared, *later = [batch for batch in workshop.batches if failing in batch or len(batch) > 1]
    finished = shared[: shared.index(failing)]
    assert finished
    assert not {name for batch in later for name in batch} & set(finished)
    assert {f"{name}.src.rpm" for name in finished} <= site.stored()
    # the suspect was tried alone, so that the blame is certain; without --keep-going that ends the run
    assert later[0] == [failing]
    assert found[0] == f"{failing}: rpmbuild ended with 1"
    for name in shared[shared.index(failing) + 1 :]:
        assert any(name.rpartition("-")[0].rpartition("-")[0] in line for line in found[1:]), name


def test_each_wheel_of_a_batch_is_in_the_store_before_the_next_one_is_begun(site: Site) -> None:
    plan = plan_of(*BATCH)
    seen: list[tuple[str, ...]] = []

    def hook(job: BuildJob) -> None:
        batch = workshop.batches[-1]
        before = {f"{name}.src.rpm" for name in batch[: batch.index(job.name)]}
        assert before <= site.stored(), "a run that is killed now would have to make them again"
        seen.append(tuple(before))

    workshop = Workshop(hook=hook)
    site.run(plan, workshop, workers=1)
    assert max(len(before) for before in seen) > 2


def test_several_wheels_that_fail_are_all_told(site: Site) -> None:
    plan = plan_of(*BATCH)
    failing = {nvr(plan, f"stack/w{number}") for number in (1, 4)}
    found = refused(site, plan, Workshop(failing=failing), workers=1, keep_going=True)
    assert sorted(found) == sorted(f"{name}: rpmbuild ended with 1" for name in failing)


def test_a_batch_that_fails_as_a_whole_ends_all_the_same(site: Site) -> None:
    plan = plan_of(*BATCH)
    workshop = Workshop(failing={package.nvr for package in plan.packages if package.template == "wheel.spec.j2"})
    found = refused(site, plan, workshop, workers=1, keep_going=True)
    assert len(found) == len(workshop.failing) + 1
    assert len([batch for batch in workshop.batches if len(batch) == 1]) >= len(workshop.failing)


def test_a_wheel_that_fails_only_in_company_is_built_alone(site: Site) -> None:
    plan = plan_of(*BATCH)
    shy = nvr(plan, "stack/w2")

    def hook(job: BuildJob) -> None:
        workshop.failing = {shy} if len(workshop.batches[-1]) > 1 else set()

    workshop = Workshop(hook=hook)
    results = site.run(plan, workshop, workers=1)
    assert set(results) == {package.node for package in plan.packages}
    assert "stack/w2" in site.notes.of("postponed")
    assert site.notes.of("failed") == []


def test_seconds_of_what_a_failed_batch_finished_are_its_own(site: Site) -> None:
    plan = plan_of(*BATCH)
    workshop = Workshop(failing={nvr(plan, "stack/w5")}, hook=lambda _: time.sleep(0.01))
    refused(site, plan, workshop, workers=1, keep_going=True)
    results = site.build(plan, Workshop()).predict()
    assert NodeId("stack/w1") in results
    seconds = [event["seconds"] for event in Store(site.folder / "store").events() if event["event"] == "built"]
    assert all(0 <= value <= 10 for value in seconds)


@pytest.mark.parametrize("error", [CommandError, DiskFullError])
def test_an_error_that_is_no_package_s_fault_ends_the_run_and_keeps_what_was_finished(
    site: Site, error: type[Exception]
) -> None:
    plan = plan_of(*BATCH)
    failing = nvr(plan, "stack/w3")
    workshop = Workshop(failing={failing}, error=error)
    with pytest.raises(error):
        site.run(plan, workshop, workers=1, keep_going=True)
    shared = next(batch for batch in workshop.batches if failing in batch)
    assert {f"{name}.src.rpm" for name in shared[: shared.index(failing)]} <= site.stored()
    assert list((site.folder / "work").iterdir()) == []


def test_an_operating_system_error_is_not_taken_for_a_failed_build(site: Site) -> None:
    plan = plan_of()
    with pytest.raises(OSError, match="x"):
        site.run(plan, Workshop(failing={nvr(plan, "stack/own")}, error=OSError), keep_going=True)


def test_ctrl_c_ends_builds_and_keeps_what_is_finished(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    begun, stopped = threading.Event(), threading.Event()
    slow = nvr(plan, "stack/own")

    def hook(job: BuildJob) -> None:
        if job.name == slow:
            begun.set()
            assert stopped.wait(10), "the run did not ask for the end"
            raise BuildError(Problem("killed"))

    build = site.build(plan, Workshop(hook=hook), stop=stopped.set)
    collect = Build._collect

    def interrupted(self: Build, running: dict[object, object]) -> list[Package]:
        if begun.wait(0.05):
            raise KeyboardInterrupt
        return collect(self, running)  # type: ignore[arg-type]

    monkeypatch.setattr(Build, "_collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.run()
    monkeypatch.undo()
    kept = site.stored()
    assert f"{slow}.src.rpm" not in kept
    assert f"{nvr(plan, 'buildroot/hatchling')}.src.rpm" in kept
    workshop = Workshop()
    site.run(plan, workshop)
    assert {f"{name}.src.rpm" for name in workshop.built}.isdisjoint(kept)
    assert site.stored() == {f"{package.nvr}.src.rpm" for package in plan.packages}


def test_what_a_killed_run_left_in_the_work_folder_is_removed(site: Site) -> None:
    left = site.folder / "work" / "build-dead" / "out"
    left.mkdir(parents=True)
    site.run(plan_of(), Workshop())
    assert not left.exists()


def test_a_damaged_result_is_built_again_and_told(site: Site) -> None:
    plan = plan_of()
    results = site.run(plan, Workshop())
    results[NodeId("stack/lib")].rpms[0].write_text("damaged")
    workshop = Workshop()
    site.run(plan, workshop)
    assert workshop.built == [nvr(plan, "stack/lib")]
    assert len(site.notes.of("notice")) == 1


def test_a_lost_store_is_made_again(site: Site) -> None:
    plan = plan_of(LIB)
    site.run(plan, Workshop())
    shutil.rmtree(site.folder / "store")
    workshop = Workshop()
    site.run(plan, workshop)
    assert len(workshop.built) == len(plan.packages)

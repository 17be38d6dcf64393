"""Builds that take too much are ended, each by the limit that it met, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.cgroups import find_cgroups
from elpack.builders.environment import UID
from elpack.builders.limits import Mechanism
from elpack.config.builds import Limits
from elpack.errors import BuildError
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

STANDIN = Path(os.environ.get("ELPACK_STANDIN", Path(__file__).parents[2] / ".elpack" / "standin"))

SPEC = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A build that takes too much
License: MIT
BuildArch: noarch
%description
Trial.
%prep
%build
set +x
{build}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
%files
/usr/share/{name}
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""

SMALL = Limits(memory=300 << 20, disk=300 << 20, log=1 << 20, processes=100, time=20)
HOG = "import time; held = [bytearray(1 << 20) for _ in range(4096)]; time.sleep(60)"


@pytest.fixture(scope="module")
def builder(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[BwrapBuilder]:
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c", "mkfs.ext4", "prlimit")
    target = resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")
    work = tmp_path_factory.mktemp("limits")
    builder = BwrapBuilder(target, (Repository("standin", str(build_standin(target, STANDIN))),), work)
    with pytest.MonkeyPatch.context() as patch:
        # others may build on this machine at the same time
        patch.setattr("elpack.builders.bwrap.fence_name", lambda home: f"elpack-{builder.work.name}-{home.name}")
        yield builder
    assert left(builder) == []


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., BuildJob]:
    def make(build: str, name: str = "greedy", limits: Limits = SMALL, requires: tuple[str, ...] = ()) -> BuildJob:
        spec = tmp_path / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, build=build))
        return BuildJob(name, spec, (), requires, tmp_path / "logs" / f"{name}.log", dist=name, limits=limits)

    return make


def left(builder: BwrapBuilder) -> list[str]:
    """Return what is there of builds: mounts, loop devices, groups, processes, folders."""
    work = str(builder.work)
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if work in line]
    found += [line for line in output("losetup", "--list", "--noheadings", "--output", "BACK-FILE") if work in line]
    groups = find_cgroups()
    for folder in (groups.memory, groups.pids):
        found += [str(path) for path in folder.glob(f"elpack-{builder.work.name}-*")] if folder else []
    found += [str(path) for path in (builder.work / "live").glob("*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:  # what runs in a root of ours has its base among its mounts
            ours = process.name != str(os.getpid()) and f"lowerdir={work}" in (process / "mountinfo").read_text()
            found += [str(process)] if ours and f"\nUid:\t{UID}\t" in (process / "status").read_text() else []
        except OSError:
            continue
    return found


def output(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


GREEDY = {
    "memory": ("python3.11 -c '{HOG}'", "it wanted more memory than 300M"),
    "memory by temporary files": (
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=140; cp /dev/shm/x /tmp; python3.11 -c '{HOG}'",
        "memory",
    ),
    "processes": ("bomb() { bomb | bomb & }; bomb; sleep 60", "it wanted more than 100 processes and threads"),
    "time": ("while :; do :; done", "it did not end within 3 s"),
    "disk": ("dd if=/dev/zero of=x bs=1M", "it wrote more than 300M to its disk"),
    "disk at once": ("fallocate -l 100G x", "it wrote more than 300M to its disk"),
    "disk by small files": (
        "i=0; while : >$i; do i=$((i+1)); done",
        "it wrote more than 300M to its disk",
    ),
    "log": ("yes", "it printed more than 1M"),
    "log of one line": ("cat /dev/zero", "it printed more than 1M"),
}


@pytest.mark.parametrize("how", GREEDY)
def test_a_greedy_build_is_ended_by_its_limit(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path, how: str
) -> None:
    build, message = GREEDY[how]
    limits = replace(SMALL, time=3 if how == "time" else SMALL.time)
    requires = ("python3.11",) if "python" in build else ()
    job = make_job(build.replace("{HOG}", HOG), limits=limits, requires=requires)
    with pytest.raises(BuildError) as caught:
        builder.build((job,), tmp_path / "out")
    (problem,) = caught.value.problems
    assert message in problem.what
    assert f"raise [builds] {how.partition(' ')[0]} in elpack.toml (or under [builds.dist.greedy]" in problem.fix
    assert job.log.stat().st_size <= SMALL.log
    assert len(problem.what) < 20_000
    assert left(builder) == []


def test_a_limit_that_the_build_hides_is_met_all_the_same(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    """A result that depends on how much memory there was is none."""
    job = make_job(f"python3.11 -c '{HOG}' || echo never mind", requires=("python3.11",))
    with pytest.raises(BuildError, match=r"\[builds\] memory"):
        builder.build((job,), tmp_path / "out")


def test_builds_beside_a_greedy_one_go_on(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    greedy = make_job("bomb() { bomb | bomb & }; bomb; sleep 60")
    modest = make_job("sleep 1; for i in 1 2 3; do sh -c 'echo fine'; done", "modest")
    with ThreadPoolExecutor(2) as pool:
        failed, fine = (pool.submit(builder.build, (job,), tmp_path / "out") for job in (greedy, modest))
        assert fine.result()[0].job.name == "modest"
        assert isinstance(failed.exception(), BuildError)


def test_where_nothing_counts_each_process_is_limited_and_the_folders_are_measured(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elpack.builders.roots.mount_disk", lambda *_: False)
    bare = replace(builder, mechanism=Mechanism())
    assert "a build as a whole is not" in str(bare.mechanism)
    with pytest.raises(BuildError) as caught:
        bare.build((make_job(f"python3.11 -c '{HOG}'", requires=("python3.11",)),), tmp_path / "out")
    (problem,) = caught.value.problems
    assert "MemoryError" in problem.what
    assert "maybe [builds] memory or processes" in problem.why
    with pytest.raises(BuildError, match=r"\[builds\] disk"):
        bare.build(
            (make_job("i=0; while i=$((i+1)); do dd if=/dev/zero of=$i bs=1M count=50; done"),), tmp_path / "out"
        )


def test_a_killed_run_leaves_nothing_to_the_next(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job("echo begun; sleep 60")
    code = f"""
    from pathlib import PosixPath
    from elpack.builders import BuildJob, Repository
    from elpack.builders.bwrap import BwrapBuilder
    from elpack.config.builds import Limits
    from elpack.targets import TargetChoice, resolve_target
    target = resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")
    BwrapBuilder(target, {builder.repositories!r}, {builder.work!r}).build(({job!r},), {tmp_path / "out"!r})
    """
    with subprocess.Popen((sys.executable, "-c", textwrap.dedent(code))) as process:
        end = time.monotonic() + 60
        while not (job.log.exists() and "\nbegun\n" in job.log.read_text()):
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    groups = [path for record in (builder.work / "live").glob("*.groups") for path in record.read_text().split()]
    assert left(builder) != []
    builder.build((make_job("true", "next"),), tmp_path / "out")
    assert left(builder) == []
    assert not [path for path in groups if Path(path).exists()]

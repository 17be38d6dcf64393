"""The worker's builder with a real `elpack worker` behind it: a process here, with a work folder of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.emulation import emulation
from elpack.builders.worker import WorkerBuilder
from elpack.errors import BuildError, ForeignArchError
from elpack.run import stop_logged
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.model import Target

pytestmark = pytest.mark.root

# content-addressed, and shared with the program's own runs in this checkout
STANDIN = Path(__file__).parents[2] / ".elpack" / "standin"

SPEC = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A trial of a worker
License: MIT
Source0: hello.c
{requires}
{arch}
%global debug_package %{{nil}}
%description
Trial.
%prep
%build
cp %{{SOURCE0}} hello
{build}
%install
install -D -m 755 hello %{{buildroot}}/usr/share/{name}/hello
%files
/usr/share/{name}
{more}
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""
COMPILE = "gcc -O2 -o hello %{SOURCE0}"


def standin(arch: str) -> tuple[Target, Repository, str]:
    target = resolve_target(TargetChoice("el9-standin", "3.11", (arch,)), arch)
    folder = build_standin(target, STANDIN)
    digest = hashlib.sha256((folder / "repodata" / "repomd.xml").read_bytes()).hexdigest()
    return target, Repository("standin", str(folder)), digest


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the worker's own work folder."""
    work = tmp_path_factory.mktemp("worker")
    (work / "standin").symlink_to(STANDIN)
    return work


@pytest.fixture(scope="module")
def local(needs: Callable[..., None], there: Path) -> BwrapBuilder:
    """Return this machine's builder, which shares base roots with the workers, as workers do with each other."""
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c")
    target, repository, _ = standin("x86_64")
    return BwrapBuilder(target, (repository,), there / "bwrap")


@pytest.fixture(scope="module")
def builder(local: BwrapBuilder, there: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerBuilder]:
    target, _, digest = standin("x86_64")
    work = tmp_path_factory.mktemp("asking")
    yield WorkerBuilder(target, digest, elpack_worker(there), work, home=local)
    assert list(work.iterdir()) == []
    assert left_at(there) == []


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., BuildJob]:
    def make(name: str = "trial", build: str = "true", requires: tuple[str, ...] = (), more: str = "") -> BuildJob:
        arch = "" if "gcc" in requires else "BuildArch: noarch"
        lines = "\n".join(f"BuildRequires: {requirement}" for requirement in requires)
        spec, source = tmp_path / f"{name}.spec", tmp_path / "hello.c"
        spec.write_text(SPEC.format(name=name, build=build, requires=lines, arch=arch, more=more))
        source.write_text("int main(void) { return 0; }\n")
        return BuildJob(name, spec, (source,), requires, tmp_path / "logs" / f"{name}.log")

    return make


def elpack_worker(work: Path, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "elpack", "worker", "--work", str(work), *options)


def left_at(work: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [point for point in (line.split()[4] for line in lines) if point.startswith(f"{work}/")]
    return mounts + [str(path) for place in ("jobs", "bwrap/live") for path in (work / place).glob("*/")]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.rpm"))}


def test_a_worker_and_this_machine_give_the_same_bytes(
    builder: WorkerBuilder, local: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    first = tmp_path / "first"
    local.build((make_job("first"),), first)
    subprocess.run(("createrepo_c", "--quiet", str(first)), check=True)
    extra = (Repository("elpack", str(first), 1),)
    job = make_job(build=f"{COMPILE}\ncat /usr/share/first/hello; ./hello", requires=("gcc", "first = 1.0"))
    told: list[str] = []
    (built,) = replace(builder, extra=extra).build((job,), tmp_path / "there", lambda one: told.append(one.job.name))
    lines = job.log.read_text().splitlines()
    replace(local, extra=extra).build((job,), tmp_path / "here")
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
    names = [path.name for path in (built.srpm, *built.rpms)]
    assert names == ["trial-1.0-1.el9s.src.rpm", "trial-1.0-1.el9s.x86_64.rpm"]
    assert told == ["trial"]
    # the log is written here while it builds there
    assert lines[0] == "worker: asked for trial, el9-standin / 3.11 / x86_64"
    (end,) = (number for number, line in enumerate(lines) if line.startswith("worker: built trial in"))
    assert lines.index("int main(void) { return 0; }") < end


def test_what_fails_there_is_told_as_if_it_failed_here(
    builder: WorkerBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job(build="no-such-compiler x.c")
    with pytest.raises(BuildError, match="no-such-compiler: command not found") as caught:
        replace(builder, home=None).build((job,), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where == f"trial ({job.log})"
    assert problem.fix.startswith("on the worker, ")
    assert not list(tmp_path.glob("out/*"))
    slow = make_job(build="sleep 60")
    slow = replace(slow, limits=replace(job.limits, time=1))
    with pytest.raises(BuildError, match="it did not end within 1 s"):
        replace(builder, home=None).build((slow,), tmp_path / "out")


def test_results_are_held_against_the_spec_as_it_is_read_here(
    builder: WorkerBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    """A worker that sends another package than the one asked for, well made as it is."""
    job = make_job()
    other = tmp_path / "other"
    other.mkdir()
    changed = other / job.spec.name
    changed.write_text(job.spec.read_text().replace("%description", "%post\ntouch /root/was-here\n%description"))
    lie = tmp_path / "lie.py"
    lie.write_text(
        "import sys, runpy\n"
        "from pathlib import Path\n"
        "from elpack.builders import order\n"
        "receive = order.Asked.job\n"
        "def job(*args):\n"
        "    found = receive(*args)\n"
        f"    found[0].spec.write_bytes(Path({str(changed)!r}).read_bytes())\n"
        "    return found\n"
        "order.Asked.job = job\n"
        "runpy.run_module('elpack', run_name='__main__')\n"
    )
    lying = replace(builder, command=(sys.executable, str(lie), *builder.command[3:]))
    with pytest.raises(BuildError, match="trial has another postin than its spec declares") as caught:
        lying.build((job,), tmp_path / "out")
    assert "the source package holds another trial.spec than the build was given" in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "0" * 64}, "the packages of .* that this worker builds with are others than yours"),
        ({"command": ("sh", "-c", "exit 127")}, "its command was not found there"),
        ({"command": ("sh", "-c", "echo 'Permission denied (publickey).' >&2; exit 255")}, "ssh cannot reach it"),
        ({"command": ("sh", "-c", "echo Welcome; cat")}, "it begins with b'Welcome"),
        ({"command": ("sh", "-c", "kill -9 $$")}, "it ended with -9 and without an answer"),
        ({"command": ("no-such-program", "worker")}, "no-such-program is not installed"),
    ],
    ids=["base", "no-program", "ssh", "noise", "dead", "no-ssh"],
)
def test_a_worker_that_cannot_be_used_is_told(
    builder: WorkerBuilder,
    make_job: Callable[..., BuildJob],
    tmp_path: Path,
    change: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(ForeignArchError, match=words) as caught:
        replace(builder, **change, home=None).build((make_job(),), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.where.startswith("the worker for x86_64 (")
    assert problem.fix


def test_packages_that_would_run_something_are_not_installed_there(
    builder: WorkerBuilder, local: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    sent = tmp_path / "sent"
    local.build((make_job("active", more="%post\ntouch /root/was-here\n"),), sent)
    job = make_job(requires=("active = 1.0",))
    asking = replace(builder, home=None, extra=(Repository("elpack", str(sent), 1),))
    with pytest.raises(BuildError, match="active runs something when it is installed: postin"):
        asking.build((job,), tmp_path / "out")


def test_who_stops_waiting_leaves_nothing_there(
    builder: WorkerBuilder, there: Path, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job(build="echo begun; sleep 71.3")

    with ThreadPoolExecutor() as pool:
        building = pool.submit(builder.build, (job,), tmp_path / "out")
        wait_for(lambda: job.log.exists() and "\nbegun\n" in job.log.read_text())
        stop_logged()
        with pytest.raises(ForeignArchError, match="without an answer"):
            building.result(30)
    wait_for(lambda: left_at(there) == [])


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.mark.arm64
def test_a_worker_for_another_architecture(
    local: BwrapBuilder, there: Path, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    found = emulation("aarch64")
    if found.obstacle:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(found.obstacle)
    target, _, digest = standin("aarch64")
    asking = WorkerBuilder(target, digest, elpack_worker(there), tmp_path / "asking", home=local)
    with pytest.raises(ForeignArchError, match="this worker's machine is x86_64, and the job is for aarch64"):
        asking.build((make_job(),), tmp_path / "out")
    job = make_job(build=COMPILE, requires=("gcc",))
    (built,) = replace(asking, command=elpack_worker(there, "--emulated")).build((job,), tmp_path / "out")
    assert [path.name for path in built.rpms] == ["trial-1.0-1.el9s.aarch64.rpm"]

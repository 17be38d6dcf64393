"""The bwrap builder with the real dnf, overlayfs, bubblewrap and rpmbuild, on the stand-in."""

from __future__ import annotations

import hashlib
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
from elpack.builders.environment import UID
from elpack.errors import BuildError
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
Summary: A trial of a builder
License: MIT
Source0: hello.txt
BuildArch: noarch
{requires}
%description
Trial.
%prep
%build
{build}
%install
install -D -m 644 %{{SOURCE0}} %{{buildroot}}/usr/share/{name}/hello.txt
%files
/usr/share/{name}
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""


@pytest.fixture(scope="module")
def target() -> Target:
    return resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")


@pytest.fixture(scope="module")
def builder(
    needs: Callable[..., None], target: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BwrapBuilder]:
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c")
    work = tmp_path_factory.mktemp("bwrap")
    yield BwrapBuilder(target, (Repository("standin", str(build_standin(target, STANDIN))),), work)
    assert mounts(work) == []


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., BuildJob]:
    def make(name: str = "trial", build: str = "true", requires: tuple[str, ...] = ("make",)) -> BuildJob:
        lines = "\n".join(f"BuildRequires: {requirement}" for requirement in requires)
        spec, source = tmp_path / f"{name}.spec", tmp_path / "hello.txt"
        spec.write_text(SPEC.format(name=name, build=build, requires=lines))
        source.write_text("hello\n")
        return BuildJob(name, spec, (source,), requires, tmp_path / "logs" / f"{name}.log")

    return make


def mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for point in (line.split()[4] for line in lines) if point.startswith(f"{folder}/")]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.rpm"))}


def test_two_builds_of_one_job_give_the_same_bytes(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job()
    (built,) = builder.build((job,), tmp_path / "first")
    assert built.srpm.name == "trial-1.0-1.el9s.src.rpm"
    assert [path.name for path in built.rpms] == ["trial-1.0-1.el9s.noarch.rpm"]
    job.sources[0].chmod(0o600)  # how a file came here must not show
    os.utime(job.sources[0])
    builder.build((job,), tmp_path / "second")
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def test_what_a_build_sees(builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path) -> None:
    look = """
    id; hostname || cat /proc/sys/kernel/hostname; grep -c : /proc/net/dev; env | sort
    ls -A ~ /tmp; test ! -w /usr; test -w /tmp; test -w /dev/shm; test ! -e /root/.bashrc -o ! -r /root
    grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status; ls /proc | grep -c '^[0-9]'
    """
    job = make_job(build=textwrap.dedent(look))
    builder.build((job,), tmp_path / "out")
    log = job.log.read_text()
    for line in (
        f"uid={UID}(mockbuild) gid={UID}(mock) groups={UID}(mock)",
        "localhost",
        "HOME=/builddir",
        "TZ=UTC",
        "PYTHONHASHSEED=0",
        "SOURCE_DATE_EPOCH=1767571200",
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
    ):
        assert line in log.splitlines()
    assert "\n1\n" in log  # the only interface is loopback
    assert "SUDO_UID" not in log


def test_builds_at_the_same_time_do_not_disturb_each_other(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    jobs = [make_job(f"trial{number}", requires=("make", "python3.11-devel")) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(lambda job: builder.build((job,), tmp_path / "out"), jobs))
    assert [result.job.name for (result,) in built] == ["trial0", "trial1", "trial2"]
    assert list((builder.work / "live").iterdir()) == []


def test_a_finished_package_can_be_required_and_leaves_the_root_with_it(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    finished = tmp_path / "finished"
    builder.build((make_job("first"),), finished)
    subprocess.run(("createrepo_c", "--quiet", str(finished)), check=True)
    user = make_job("user", "cat /usr/share/first/hello.txt", ("first = 1.0",))
    replace(builder, extra=(Repository("elpack", str(finished), 1),)).build((user,), tmp_path / "out")
    assert "\nhello\n" in user.log.read_text()
    assert not list(builder.work.glob("dnf/cache/elpack-*/"))
    with pytest.raises(BuildError, match=r"user: no repository provides first = 1\.0"):
        builder.build((user,), tmp_path / "out")


def test_a_failed_build_can_be_seen_again(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job(build="echo 'int x = y;' > x.c\ngcc -c x.c", requires=("gcc",))
    with pytest.raises(BuildError) as caught:
        builder.build((job,), tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.what.splitlines()[1].startswith("x.c:1:9: error:")
    job.spec.unlink()
    done = subprocess.run(("sh", f"{job.log}.sh"), check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "x.c:1:9: error:" in done.stdout + done.stderr
    assert mounts(builder.work) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: str(signal.Signals(number).name))
def test_a_run_that_is_ended_leaves_nothing_for_the_next(
    builder: BwrapBuilder, make_job: Callable[..., BuildJob], tmp_path: Path, number: int
) -> None:
    job = make_job(build="echo begun; sleep 61.7")
    code = f"""
    import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
    from pathlib import PosixPath
    from elpack.builders import BuildJob, Repository
    from elpack.builders.bwrap import BwrapBuilder
    from elpack.config.builds import Limits
    from elpack.targets import TargetChoice, resolve_target
    target = resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")
    BwrapBuilder(target, {builder.repositories!r}, {builder.work!r}).build(({job!r},), {tmp_path / "out"!r})
    """
    process = subprocess.Popen((sys.executable, "-c", textwrap.dedent(code)), stderr=subprocess.DEVNULL)
    wait_for(lambda: job.log.exists() and "\nbegun\n" in job.log.read_text())
    process.send_signal(number)
    process.wait(20)
    wait_for(lambda: not sleeping())
    if number == signal.SIGKILL:
        assert mounts(builder.work) != [], "nobody was left to take them away"
    else:
        assert mounts(builder.work) == []
    builder.build((make_job("next"),), tmp_path / "out")
    assert mounts(builder.work) == []
    assert list((builder.work / "live").iterdir()) == []


def sleeping() -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"61.7" in process.read_bytes() and b"sleep" in process.read_bytes():
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)

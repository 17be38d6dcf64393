"""What once made two builds differ, or would: the umask, the times of files, the clock that a build sees."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import toy
from tests.unit.plans import el9

from elpack.builders import BuildJob, choose
from elpack.builders.roots import CleanRoot
from elpack.builders.sandbox import sandboxed
from elpack.builders.staging import stage
from elpack.errors import ConfigError
from elpack.run import Command, run
from elpack.steps.otherwise import DAYS, Here, otherwise
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_programs_have_one_umask_whatever_ours_is() -> None:
    with umask(0o077):
        assert run(Command(("sh", "-c", "umask"))).stdout == "0022\n"


@pytest.mark.root
def test_the_folders_of_a_build_have_one_mode(tmp_path: Path) -> None:
    (tmp_path / "a.spec").write_text("Name: a\n")
    job = BuildJob("a-1-1", tmp_path / "a.spec", (), (), tmp_path / "a.log")
    for mask in (0o022, 0o077):
        home = tmp_path / f"{mask}"
        with umask(mask):
            stage(job, home)
        assert {path.stat().st_mode & 0o777 for path in (home, *home.rglob("*")) if path.is_dir()} == {0o755}


def test_metadata_hang_on_the_packages_alone(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("rpmbuild", "createrepo_c")
    digests = set()
    for age in (0, 1_000_000):
        folder = tmp_path / f"repo-{age}"
        folder.mkdir()
        for version in ("1", "2"):
            built = tmp_path / f"toy-{version}" / f"toy-{version}-1.noarch.rpm"
            copy = shutil.copyfile(built if built.exists() else toy(tmp_path, version), folder / built.name)
            os.utime(copy, (age, age))
        create_repository(folder)
        files = sorted((folder / "repodata").iterdir())
        digests.add(hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest())
    assert len(digests) == 1
    # rsync and web caches take one size and time for one content
    times = {path.name: path.stat().st_mtime for path in tmp_path.glob("repo-*/*.rpm")}
    assert len(set(times.values())) == len(times) == 2


def test_the_clock_is_shifted_for_who_preloads_it_and_sleeping_works(
    tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("cc")
    way = otherwise(Here.look(run), tmp_path / "way", 1, own_clock=True, builds_clock="", runner=run)
    program = (
        "import datetime, subprocess, time\n"
        "start = time.monotonic(); time.sleep(0.1)\n"
        "subprocess.run(['sleep', '0.1'], timeout=5, check=True)\n"
        "assert 0.1 < time.monotonic() - start < 5\n"
        "print(int(time.time()), datetime.datetime.now().timestamp() // 86400)\n"
    )
    said = []
    for preload in ({}, {"LD_PRELOAD": str(way.clock)}):
        done = subprocess.run(
            (sys.executable, "-c", program), env=preload, capture_output=True, text=True, check=True, timeout=30
        )
        said.append([float(word) for word in done.stdout.split()])
    assert DAYS * 86400 <= said[1][0] - said[0][0] < DAYS * 86400 + 60
    assert said[1][1] - said[0][1] in {DAYS, DAYS + 1}


def test_the_library_asks_for_no_version_of_libc(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("cc", "objdump")
    way = otherwise(Here.look(run), tmp_path / "way", 1, own_clock=True, builds_clock="", runner=run)
    assert "GLIBC" not in run(Command(("objdump", "-T", str(way.clock)))).check().stdout


def test_a_sandbox_preloads_what_it_is_told(tmp_path: Path) -> None:
    root = CleanRoot(tmp_path)
    assert "LD_PRELOAD" not in sandboxed(root, ("true",)).argv
    argv = sandboxed(root, ("true",), preload=Path("/clock.so")).argv
    place = argv[argv.index("LD_PRELOAD") + 1]
    assert argv[argv.index("/clock.so") - 1 : argv.index("/clock.so") + 2] == ("--ro-bind", "/clock.so", place)


def test_mock_preloads_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "mock_host", lambda _: choose.MockHost("/usr/bin/mock", 1000))
    assert choose.choose_builder("mock", el9(), (), tmp_path).builder.name == "mock"
    with pytest.raises(ConfigError, match="mock cannot preload a library"):
        choose.choose_builder("mock", el9(), (), tmp_path, preload=Path("/clock.so"))

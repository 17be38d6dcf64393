"""What `elpack worker` does with jobs that it does not build, and when nobody waits for it any more."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob
from elpack.builders.emulation import MACHINE
from elpack.builders.order import Order, receive_answer, send_order
from elpack.errors import ArchiveError, DiskFullError, ForeignArchError
from elpack.model import ARCHES
from elpack.steps.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders.order import Refusal
    from elpack.errors import ElpackError

OTHER = next(arch for arch in ARCHES if arch != MACHINE)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    spec = tmp_path / "toy.spec"
    spec.write_text("Name: toy\n")
    job = BuildJob("toy-1-1", spec, (), (), tmp_path / "log")
    return Order("el9-standin", "3.11", MACHINE, "ab" * 32, job, ())


def answer(order: Order, work: Path, error: type[ElpackError] = ForeignArchError) -> Refusal:
    job, said = io.BytesIO(), io.BytesIO()
    send_order(job, order)
    job.seek(0)
    with pytest.raises(error) as caught:
        Worker(work, lambda _: None).serve(job, said)
    said.seek(0)
    refusal = receive_answer(said, order, work / "in")
    assert refusal is not None
    assert refusal.problems == caught.value.problems, "both ends are told the same"
    assert not refusal.failed
    return refusal


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arch": OTHER}, f"this worker's machine is {MACHINE}, and the job is for {OTHER}"),
        ({"target": "../../etc/passwd"}, "there is no target ../../etc/passwd with Python 3.11"),
        ({"target": "el8"}, "there is no target el8 with Python 3.11"),
        ({"python": "2.7"}, "there is no target el9-standin with Python 2.7"),
    ],
)
def test_jobs_that_are_not_for_this_worker(order: Order, tmp_path: Path, change: dict[str, str], words: str) -> None:
    (problem,) = answer(replace(order, **change), tmp_path).problems  # type: ignore[arg-type]
    assert problem.what == words
    assert not (tmp_path / "jobs").exists(), "nothing was begun"


def test_a_full_disk_is_told_at_both_ends(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Worker, "_base", full)
    (problem,) = answer(order, tmp_path, DiskFullError).problems
    assert (problem.what, problem.where) == ("no space left", str(tmp_path))


def test_another_version_is_told_with_both(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, said = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr("elpack.builders.order.__version__", "9.9")
    send_order(job, order)
    monkeypatch.undo()
    job.seek(0)
    with pytest.raises(ForeignArchError, match=r"and the job comes from elpack 9\.9"):
        Worker(tmp_path, lambda _: None).serve(job, said)


def test_half_a_job_is_no_job(order: Order, tmp_path: Path) -> None:
    said = io.BytesIO()
    with pytest.raises(ForeignArchError, match="no job came by standard input"):
        Worker(tmp_path, lambda _: None).serve(io.BytesIO(b"elpack-wor"), said)
    assert said.getvalue() == b"", "nobody is there to read it"


def test_a_job_of_rubbish_is_refused_and_nothing_else_is_said(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "elpack", "worker", "--work", str(tmp_path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"elpack-worker 1 2\n[]")
        process.stdin.flush()
        head, said = process.stdout.readline(), process.stdout.read()
        assert (head, b"its head is no JSON object" in said) == (b"elpack-worker 1 %d\n" % len(said), True)
        assert process.wait(20) == ArchiveError.exit_code
        assert b"Traceback" not in process.stderr.read()


WATCHED = """
import signal, sys, time
from elpack.steps.worker import cancelled_by
with cancelled_by(0) as enough:
    if sys.argv[1] == "enough":
        enough()
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
print("ended", flush=True)
"""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("unread", [b"", b"x" * 100], ids=["read", "unread"])
def test_a_worker_hears_that_the_other_end_hung_up(kind: str, unread: bytes) -> None:
    ours, its = _pair(kind)
    with subprocess.Popen((sys.executable, "-c", WATCHED, "", "60"), stdin=its, stdout=subprocess.PIPE) as process:
        os.close(its)
        assert process.stdout is not None
        process.stdout.readline()
        os.write(ours, unread or b"x")
        os.close(ours)
        assert process.wait(20) == -signal.SIGTERM


def test_a_worker_that_has_its_answer_is_not_ended() -> None:
    ours, its = _pair("pipe")
    os.close(ours)
    command = (sys.executable, "-c", WATCHED.replace("(0) as", "(int(sys.argv[3])) as"), "enough", "0", "1")
    done = subprocess.run(command, stdin=its, stdout=subprocess.PIPE, check=False)
    os.close(its)
    assert done.stdout == b"begun\nended\n"


def _pair(kind: str) -> tuple[int, int]:
    """Return our end and the worker's: sshd gives its programs the one or the other."""
    if kind == "pipe":
        its, ours = os.pipe()
        return ours, its
    one, other = socket.socketpair()
    return one.detach(), other.detach()

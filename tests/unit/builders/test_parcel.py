"""What goes over the wire to a worker and back: written the same each time, and read as if an enemy had written it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from elpack import __version__
from elpack.builders import BuildJob
from elpack.builders.order import (
    Order,
    Refusal,
    receive_answer,
    receive_order,
    send_built,
    send_order,
    send_refusal,
)
from elpack.builders.parcel import OtherVersionError, receive_files, receive_head, send
from elpack.config.builds import Limits
from elpack.errors import ArchiveError, Problem

if TYPE_CHECKING:
    from pathlib import Path

BASE = "ab" * 32
CONTENT = b"Name: toy\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def order(tmp_path: Path) -> Order:
    names = ("toy.spec", "toy.tar.gz", "b.rpm", "a.rpm")
    for name in names:
        (tmp_path / name).write_bytes(CONTENT)
    spec, source, *rpms = (tmp_path / name for name in names)
    job = BuildJob(
        "toy-1-1", spec, (source,), ("make", "toy >= 1"), tmp_path / "log", "toy", Limits(time=7), arch="x86_64"
    )
    return Order("el9-standin", "3.11", "aarch64", BASE, job, tuple(rpms))


def sent(order: Order) -> bytes:
    stream = io.BytesIO()
    send_order(stream, order)
    return stream.getvalue()


def parcel(head: Any, content: bytes = CONTENT) -> io.BytesIO:
    text = json.dumps(head).encode()
    return io.BytesIO(b"elpack-worker 1 %d\n" % len(text) + text + content)


def head_of(order: Order, **changes: object) -> dict[str, Any]:
    """Return the head of a sound order, changed."""
    _, _, rest = sent(order).partition(b"\n")
    head = json.JSONDecoder().raw_decode(rest.decode())[0]
    return {key: value for key, value in {**head, **changes}.items() if value is not None}


def test_an_order_arrives_as_it_was_sent_and_is_always_the_same_bytes(order: Order, tmp_path: Path) -> None:
    stream = io.BytesIO(sent(order))
    assert sent(order) == stream.getvalue() == sent(replace(order, rpms=order.rpms[::-1]))
    asked = receive_order(stream)
    job, rpms = asked.job(stream, tmp_path / "in", tmp_path / "log")
    assert (asked.target, asked.python, asked.arch, asked.base) == ("el9-standin", "3.11", "aarch64", BASE)
    assert replace(job, spec=order.job.spec, sources=order.job.sources) == order.job
    files = [job.spec, *job.sources, *rpms]
    assert [str(path.relative_to(tmp_path / "in")) for path in files] == [
        "spec/toy.spec",
        "source/toy.tar.gz",
        "rpm/a.rpm",
        "rpm/b.rpm",
    ]
    assert {path.read_bytes() for path in files} == {CONTENT}
    assert stream.read() == b""


def test_every_cut_is_noticed(order: Order, tmp_path: Path) -> None:
    whole = sent(order)
    for size in (0, 40, 400, len(whole) - 1):
        stream = io.BytesIO(whole[:size])
        with pytest.raises(EOFError):
            receive_order(stream).job(stream, tmp_path / str(size), tmp_path / "log")


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        (b"Welcome to arm\n", r"it begins with b'Welcome to arm\\n'"),
        (b"x" * 10_000, "it begins with b'xxx"),
        (b"elpack-worker 1 999999999\n", "its head has 999999999 bytes"),
        (b"elpack-worker 1 2\n[]", "its head is no JSON object"),
        (b"elpack-worker 1 2\n{!", "its head is no JSON:"),
        (b"elpack-worker 1 50000\n" + b"[" * 50_000, "its head is no JSON: nested too deeply"),
    ],
)
def test_what_is_no_parcel(beginning: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words) as caught:
        receive_order(io.BytesIO(beginning))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../../root/x"}, "'../../root/x' is no name of a package"),
        ({"name": "--eval"}, "'--eval' is no name of a package"),
        ({"arch": "riscv64"}, "unknown architecture 'riscv64'"),
        ({"rpm_arch": "--eval"}, "rpm_arch: unknown architecture '--eval'"),
        ({"base": "x"}, "expected a sha256"),
        ({"requires": ["make", "--setopt=reposdir=/x", "@core", "http://x/y.rpm"]}, "'@core' is no package"),
        ({"requires": "make"}, "requires: expected an array"),
        ({"limits": {**asdict(Limits()), "disk": 1 << 60}}, "limits.disk: 1152921504606846976 is no limit"),
        ({"limits": {**asdict(Limits()), "time": True}}, "limits.time: expected an integer"),
        ({"limits": None}, "limits.memory: this key is required"),
        ({"extra": 1}, "extra: unknown key"),
        ({"files": []}, "expected one spec"),
    ],
)
def test_orders_that_nobody_may_give(order: Order, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        receive_order(parcel(head_of(order, **change)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../toy.spec"}, "is no name of a file"),
        ({"name": "/etc/passwd"}, "is no name of a file"),
        ({"name": ".rpmmacros"}, "is no name of a file"),
        ({"name": "a\nb"}, "is no name of a file"),
        ({"name": "toy.spec"}, "'toy.spec' is there twice"),
        ({"role": "../x"}, "role: expected spec or source or rpm"),
        ({"role": "rpm"}, "'more' is no RPM to install"),
        ({"size": -1}, "expected a size and a sha256"),
        ({"size": 17 << 30}, "more than 4096 files or"),
        ({"sha256": "A" * 64}, "expected a size and a sha256"),
        ({"mode": 0o4755}, "mode: unknown key"),
    ],
)
def test_files_that_nobody_may_send(order: Order, change: dict[str, Any], words: str) -> None:
    sound = {"role": "spec", "name": "toy.spec", "size": len(CONTENT), "sha256": SHA256}
    more = {**sound, "name": "more", **change} if "role" in change else {**sound, **change}
    with pytest.raises(ArchiveError, match=words):
        receive_order(parcel(head_of(order, files=[sound, more])))


def test_many_wrong_files_are_not_all_told(order: Order) -> None:
    with pytest.raises(ArchiveError) as caught:
        receive_order(parcel(head_of(order, files=[{"name": "/"}] * 100_000)))
    assert len(caught.value.problems) < 100


def test_a_file_that_is_another_one_than_was_announced(tmp_path: Path) -> None:
    head = {"files": [{"role": "rpm", "name": "a.rpm", "size": 3, "sha256": SHA256}]}
    stream = parcel(head, b"abc")
    with pytest.raises(ArchiveError, match=r"a\.rpm is not the file that was announced"):
        receive_files(stream, receive_head(stream, "it", 9, ("rpm",)), tmp_path)


def test_a_file_that_changes_while_it_is_sent(tmp_path: Path) -> None:
    class Shrinking(io.BytesIO):
        def write(self, data: Any) -> int:
            file.write_bytes(b"")
            return super().write(data)

    file = tmp_path / "a.rpm"
    file.write_bytes(CONTENT)
    with pytest.raises(ArchiveError, match="changed while it was sent"):
        send(Shrinking(), {}, [("rpm", file)])


@pytest.mark.parametrize("head", [{"elpack": "0.0.1", "more": 1}, {"elpack": "0.0.1", "files": []}])
def test_another_version_is_told_before_anything_else(order: Order, tmp_path: Path, head: dict[str, Any]) -> None:
    with pytest.raises(OtherVersionError, match=r"0\.0\.1"):
        receive_order(parcel(head))
    with pytest.raises(OtherVersionError, match=r"0\.0\.1"):
        receive_answer(parcel(head), order, tmp_path)
    with pytest.raises(OtherVersionError, match="with protocol 2"):
        receive_order(io.BytesIO(b"elpack-worker 2 5\n"))


def test_an_answer_is_put_into_a_folder(order: Order, tmp_path: Path) -> None:
    stream = io.BytesIO()
    send_built(stream, "aarch64", BASE, order.rpms)
    stream.seek(0)
    assert receive_answer(stream, order, tmp_path / "in") is None
    assert sorted(path.name for path in tmp_path.glob("in/rpm/*")) == ["a.rpm", "b.rpm"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arch": "x86_64"}, "arch: expected aarch64, found 'x86_64'"),
        ({"base": "cd" * 32}, "base: expected abab"),
        ({"files": [{"role": "rpm", "name": "sh", "size": 3, "sha256": SHA256}]}, "'sh' is no RPM"),
        (
            {"files": [{"role": "rpm", "name": "a.rpm", "size": 99, "sha256": SHA256}]},
            "more than 4096 files or 50 bytes",
        ),
        ({"built": "yes"}, "built: expected true or false"),
    ],
)
def test_answers_that_are_refused(order: Order, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    order = replace(order, job=replace(order.job, limits=Limits(disk=50)))
    sound = {"elpack": __version__, "arch": "aarch64", "base": BASE, "built": True, "files": []}
    with pytest.raises(ArchiveError, match=words):
        receive_answer(parcel({**sound, **change}), order, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_refusal_arrives_but_not_without_end(order: Order, tmp_path: Path) -> None:
    stream = io.BytesIO()
    send_refusal(stream, Refusal(True, (Problem("x" * 99_999, "here", "why", "fix"),) * 999))
    stream.seek(0)
    found = receive_answer(stream, order, tmp_path)
    assert found is not None
    assert found.failed
    assert found.problems == (Problem("x" * 8000, "here", "why", "fix"),) * 40

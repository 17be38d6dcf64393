"""An index that fails: what passes is waited out, what stays is one clear error, and the wait has an end."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.faults import index as faults
from tests.faults.index import Index, serving
from tests.faults.project import TARGET, toy

from elpack.errors import FetchError, HashMismatchError, InterruptedRunError
from elpack.fetch import fetch_all
from elpack.fetch.transport import Patience, Transport
from elpack.model import RemoteFile, Sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = Patience(attempts=3, timeout=0.5, pause=0.02, longest_pause=1.0)
TRANSIENT = (
    faults.drop,
    faults.stall,
    faults.truncate,
    faults.reset,
    faults.wrong,
    faults.short,
    faults.long,
    faults.page,
    faults.too_many,
    faults.unavailable,
    faults.bad_gateway,
    faults.broken,
    faults.garbage,
    faults.drip_head,
    faults.drip,
)
LASTING = {
    **dict.fromkeys(TRANSIENT, FetchError),
    faults.wrong: HashMismatchError,
    faults.short: HashMismatchError,
    faults.long: HashMismatchError,
    faults.page: HashMismatchError,
    faults.partial: FetchError,
    faults.around: FetchError,
    faults.to_http: FetchError,
    faults.home: FetchError,
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None]) -> Iterator[Index]:
    needs("openssl")
    (tmp_path / "files").mkdir()
    with serving(tmp_path / "files", tmp_path / "index.pem") as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "index.crt"))
        yield server


def wanted(index: Index, count: int = 1) -> list[RemoteFile]:
    found = []
    for number in range(count):
        path = index.files / f"demo-{number}.0.tar.gz"
        path.write_bytes(random.Random(number).randbytes(20_000))  # noqa: S311
        sha256 = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
        found.append(RemoteFile(path.name, f"https://files.pythonhosted.org/{path.name}", sha256, 20_000))
    return found


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: fault.__name__)
def test_what_goes_wrong_once_is_tried_again(fault: faults.Fault, index: Index, tmp_path: Path) -> None:
    (file,) = wanted(index)
    index.fault = lambda _, number: fault if number == 1 else None
    got = fetch_all([file], tmp_path / "downloads", patience=QUICK)
    assert hashlib.sha256(got[file.sha256].read_bytes()).hexdigest() == file.sha256
    assert index.asked == {f"/{file.filename}": 2}


@pytest.mark.parametrize(("fault", "kind"), LASTING.items(), ids=lambda value: value.__name__)
def test_what_stays_wrong_is_one_error_and_leaves_nothing(
    fault: faults.Fault, kind: type[Exception], index: Index, tmp_path: Path
) -> None:
    file, good = wanted(index, 2)
    index.fault = lambda path, _: None if good.filename in path else fault
    start = time.monotonic()
    with pytest.raises(kind) as caught:
        fetch_all([file, good], tmp_path / "downloads", patience=QUICK)
    assert time.monotonic() - start < 30
    assert file.filename in str(caught.value) or "files.pythonhosted.org" in str(caught.value)
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [good.filename], "what was had is kept"


def test_a_host_that_gives_nothing_is_not_asked_for_every_file(index: Index, tmp_path: Path) -> None:
    files = wanted(index, 40)
    index.fault = lambda _path, _number: faults.stall
    start = time.monotonic()
    with pytest.raises(FetchError) as caught:
        fetch_all(files, tmp_path / "downloads", patience=QUICK, threads=2)
    assert len(caught.value.problems) == 40, "every file is told"
    assert len(index.asked) < 8
    assert time.monotonic() - start < 15


def test_a_stop_does_not_wait_for_a_server_that_says_nothing(index: Index) -> None:
    (file,) = wanted(index)
    index.fault = lambda _path, _number: faults.stall
    with Transport(Patience(timeout=20)) as transport:
        threading.Timer(0.5, transport.stop).start()
        start = time.monotonic()
        with pytest.raises(InterruptedRunError):
            transport.get(file.url, lambda response: response.read())
        assert time.monotonic() - start < 5


@pytest.mark.root
@pytest.mark.integration
def test_a_run_gets_everything_through_an_index_at_its_worst(
    place: Path, monkeypatch: pytest.MonkeyPatch, seed: int, needs: Callable[..., None]
) -> None:
    needs("openssl", "dnf", "bwrap")
    project = toy(place / "toy")
    mirror = place / "mirror"
    (project.work / "downloads").rename(mirror)
    chance = random.Random(seed)  # noqa: S311
    quick = (faults.drop, faults.truncate, faults.reset, faults.wrong, faults.too_many, faults.broken)
    with serving(mirror, place / "index.pem") as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(place / "index.crt"))
        server.fault = lambda _path, number: chance.choice(quick) if number == 1 else None
        assert "8 files" in project.run("plan", *TARGET, "--json") or server.asked
        assert set(server.asked.values()) == {2}, "every file failed once"
        server.fault = lambda _path, _number: faults.drop
        for path in (project.work / "downloads").iterdir():
            path.unlink()
        said = project.run("plan", *TARGET, code=13)
        assert "a download failed" in said
        assert "Traceback" not in said
    assert list((project.work / "downloads").iterdir()) == []

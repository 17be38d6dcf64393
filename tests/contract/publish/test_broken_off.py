"""Publishing that fails, is killed or meets another: what was served is served."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import flip
from tests.contract.publish.site import (
    ONLY_RSYNC,
    Site,
    refused,
)
from tests.contract.published import seen

from elpack.steps.publish import listing
from elpack.steps.publish.folder import Folder
from elpack.steps.publish.remote import Remote
from elpack.store.lock import acquire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("site", "step"),
    [("folder", "place"), ("folder", "add"), ("folder", "complement"), ("folder", "point"), ("rsync", "add")],
    indirect=["site"],
)
def test_a_failure_leaves_what_was_served(site: Site, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    site.publish("1")
    first = site.publish("2")
    if step == "complement":
        site.roll_back()
    before = (site.folder / "current").readlink(), seen(site.folder / "current")

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for kind in (Folder, Remote):
        monkeypatch.setattr(kind, step, fails)
    with pytest.raises(OSError, match="Input/output error"):
        site.again() if step == "complement" else site.publish("3")
    assert ((site.folder / "current").readlink(), seen(site.folder / "current")) == before
    monkeypatch.undo()
    assert (site.again().id == first.id) is (step == "complement")


KILLED = """\
import os, signal, sys
from pathlib import Path
from elpack.config import parse_release
from elpack.steps.publish import Wish, publish, roll_back
from elpack.steps.publish.folder import Folder
from elpack.steps.publish.remote import Remote
from elpack.workspace import Workspace

home, to, step, when, undo = Path(sys.argv[1]), *sys.argv[2:]

def killed(method):
    def stand_in(*arguments):
        if when == "after":
            method(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    return stand_in

for kind in (Folder, Remote):
    setattr(kind, step, killed(getattr(kind, step)))
release = parse_release((home / "elpack.toml").read_text())
workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
roll_back(release, workspace, Wish(to)) if undo == "undo" else publish(release, workspace, Wish(to, keep=1))
"""


def kill(site: Site, step: str, when: str, undo: str = "") -> None:
    argv = [sys.executable, "-c", KILLED, str(site.factory.home), site.to, step, when, undo]
    assert subprocess.run(argv, check=False, timeout=120).returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("site", "step", "when"),
    [
        *(("folder", "place", "after"), ("folder", "add", "after"), ("folder", "remove", "before")),
        *(("rsync", "add", "before"), ("rsync", "add", "after"), ("rsync", "remove", "before")),
    ],
    indirect=["site"],
)
def test_a_kill_leaves_the_old_one_or_the_new_one(site: Site, step: str, when: str) -> None:
    site.publish("1")
    second = site.publish("2")
    before = seen(site.folder / "current")
    site.factory.make("3")
    kill(site, step, when)
    now = (site.folder / "current").readlink().name
    if step == "remove":
        assert now != second.id
    else:
        assert now == second.id
        assert seen(site.folder / "current") == before
    done = site.again(keep=1)
    assert (site.folder / "current").readlink().name == done.id
    assert (site.folder / "current/el9/x86_64/repo/toy-3-1.noarch.rpm").exists()
    # what the killed one left is gone, for a folder and for this machine's own
    assert not list((site.folder / ".elpack").glob("stage/*"))
    assert {record.id for _, record, _ in listing(site.factory.workspace, site.to)} == {
        path.name for path in (site.folder / "releases").iterdir()
    }


def test_a_kill_in_the_middle_of_the_copy_is_swept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("1")
    # what is there when all but the record has arrived
    (site.folder / ".elpack").mkdir(exist_ok=True)
    half = "20300101T000000Z-shop-9-1-0123456789ab"
    if site.to.startswith("rsync"):
        (site.folder / "releases" / half / "el9").mkdir(parents=True)
        (begun,) = (site.factory.workspace.work / "publish").glob("*/begun")
        (begun / half).write_text("releases")
    else:
        (site.folder / ".elpack" / "stage" / "tmp").mkdir(parents=True)
    site.publish("2")
    assert not (site.folder / "releases" / half).exists()
    assert not (site.folder / ".elpack" / "stage" / "tmp").exists()


def test_two_at_once_exclude_each_other(site: Site) -> None:
    site.publish("1")
    (lock,) = [*site.folder.glob(".elpack/lock"), *site.factory.workspace.work.glob("publish/*/lock")]
    held = acquire(lock)
    try:
        (problem,) = refused(lambda: site.publish("2"))
    finally:
        os.close(held)
    assert "publishes there just now" in problem or "publishes here just now" in problem


def test_somebody_who_flips_meanwhile_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = site.publish("1")
    site.publish("2")
    kind = Remote if site.to.startswith("rsync") else Folder
    add = kind.add

    def meanwhile(self: object, *arguments: object) -> None:
        add(self, *arguments)  # type: ignore[arg-type]
        (site.folder / "current").unlink()
        (site.folder / "current").symlink_to(f"releases/{first.id}")

    monkeypatch.setattr(kind, "add", meanwhile)
    (problem,) = refused(lambda: site.publish("3"))
    assert "somebody else changed it meanwhile" in problem


@ONLY_RSYNC
def test_rsync_that_brings_other_bytes_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from elpack.tools.rsync import Rsync

    put = Rsync.put

    def worse(self: Rsync, source: Path, folder: str, *options: str) -> None:
        put(self, source, folder, *options)
        for path in (site.folder / folder).glob("el9/x86_64/repo/*.rpm"):
            stamp = path.stat()
            flip(path, -100)
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    monkeypatch.setattr(Rsync, "put", worse)
    (problem,) = refused(lambda: site.publish("1"))
    assert "what arrived is not what was sent" in problem
    assert not (site.folder / "current").is_symlink()


def test_rsync_does_not_go_by_size_and_time(tmp_path: Path, needs: Callable[..., None]) -> None:
    from elpack.tools.rsync import Rsync

    needs("rsync")
    source, rsync = tmp_path / "source", Rsync(str(tmp_path / "target"))
    source.mkdir()
    (tmp_path / "target").mkdir()
    for number in ("1", "2"):
        (source / "repomd.xml").write_text(number)
        os.utime(source / "repomd.xml", (1, 1))
        rsync.put(source, number, *(("--link-dest=../1",) if number == "2" else ()))
        assert rsync.differences(source, number) == []
    assert [(tmp_path / "target" / number / "repomd.xml").read_text() for number in "12"] == ["1", "2"]


# refusals

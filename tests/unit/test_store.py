from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from elpack.errors import DiskFullError, StoreError
from elpack.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def made(folder: Path, **files: str) -> list[Path]:
    """Write files as a build would leave them."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


def test_what_is_put_is_got_back(store: Store, tmp_path: Path) -> None:
    files = made(tmp_path / "out", b="two", a="one")
    with store:
        assert store.get(KEY) is None
        entry = store.put(KEY, files, {"seconds": 1.5})
        assert entry.paths == (store.root / "ab" / KEY / "b", store.root / "ab" / KEY / "a")
    with Store(store.root) as again:
        assert again.get(KEY) == entry.paths
        assert again.entry(KEY) == entry == again.peek(KEY)
        assert [path.read_text() for path in entry.paths] == ["two", "one"]
        assert entry.info == {"seconds": 1.5}
        assert [file.size for file in entry.files] == [3, 3]
        assert again.take_notices() == ()
    assert files[0].read_text() == "two"


def test_a_later_put_takes_the_place_of_an_earlier(store: Store, tmp_path: Path) -> None:
    with store:
        store.put(KEY, made(tmp_path / "1", a="old", gone="x"))
        entry = store.put(KEY, made(tmp_path / "2", a="new"))
        assert store.entry(KEY) == entry
        assert sorted(path.name for path in (store.root / "ab" / KEY).iterdir()) == ["a", "entry.json"]
        assert entry.paths[0].read_text() == "new"
        assert list((store.root / "staging").iterdir()) == []


def test_changing_what_was_put_does_not_change_the_store(store: Store, tmp_path: Path) -> None:
    (source,) = made(tmp_path / "out", a="one")
    with store:
        (path,) = store.put(KEY, [source]).paths
        source.write_text("two")
        assert path.read_text() == "one"


def test_two_files_of_one_name_are_refused(store: Store, tmp_path: Path) -> None:
    files = made(tmp_path / "1", a="1") + made(tmp_path / "2", a="2")
    with store, pytest.raises(StoreError, match=r"\Aa, a: two files of one result have the same name\Z"):
        store.put(KEY, files)


def _move(folder: Path) -> None:
    other = folder.parent.parent / OTHER[:2] / OTHER
    (folder / "entry.json").write_bytes((other / "entry.json").read_bytes())


@pytest.mark.parametrize("key", ["", "../../etc", "ABCDEF0123456789", "ab", "ab" * 32 + "\n", "g" * 64])
def test_only_digests_are_keys(store: Store, key: str) -> None:
    with store, pytest.raises(ValueError, match="is no key of the store"):
        store.get(key)


def test_the_store_must_be_entered(store: Store) -> None:
    for use in (lambda: store.put(KEY, []), lambda: store.get(KEY), lambda: store.journal({})):
        with pytest.raises(RuntimeError, match=r"\Athe store was not entered\Z"):
            use()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "a").write_text("onE"), "a has another digest than recorded"),
        (lambda folder: (folder / "a").write_text("longer"), "a has another size than recorded"),
        (lambda folder: (folder / "a").unlink(), "a cannot be read: No such file or directory"),
        (lambda folder: (folder / "entry.json").unlink(), "entry.json is missing"),
        (lambda folder: (folder / "entry.json").write_text("{"), "entry.json cannot be read: JSONDecodeError("),
        (lambda folder: (folder / "entry.json").write_text("{}"), "entry.json cannot be read: KeyError('files')"),
        (lambda folder: (folder / "entry.json").write_text("[]"), "entry.json cannot be read: TypeError("),
        (_move, "entry.json is of another form or another entry"),
    ],
)
def test_a_damaged_entry_is_dropped_with_a_notice(
    store: Store, tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    with store:
        store.put(KEY, made(tmp_path / "out", a="one"))
        store.put(OTHER, made(tmp_path / "out", a="one"))
    folder = store.root / "ab" / KEY
    damage(folder)
    with Store(store.root) as again:
        assert again.get(KEY) is None
        (notice,) = again.take_notices()
        assert notice.where == str(folder)
        assert notice.what.startswith(f"a stored result was damaged and is made again: {reason}")
        assert not folder.exists()
        assert again.take_notices() == ()
        assert again.put(KEY, made(tmp_path / "out", a="one")) == again.entry(KEY)
        assert again.get(OTHER) is not None


def test_each_file_is_verified_once_in_a_process(store: Store, tmp_path: Path) -> None:
    with store:
        store.put(KEY, made(tmp_path / "out", a="one"))
    with Store(store.root) as again:
        paths = again.get(KEY)
        assert paths
        paths[0].write_text("onE")
        assert again.get(KEY) == paths
    with Store(store.root) as third:
        assert third.get(KEY) is None


_KILLED = """
import os, sys
from pathlib import Path
import elpack.store.entries as entries
from elpack.store import Store

step, count = sys.argv[3], int(sys.argv[4])
def dying(real):
    def call(*args, **kwargs):
        global count
        count -= 1
        if count < 0:
            os._exit(9)
        return real(*args, **kwargs)
    return call

if step == "fsync":
    os.fsync = dying(os.fsync)
elif step == "rename":
    Path.rename = dying(Path.rename)
else:
    entries._copy = dying(entries._copy)
with Store(Path(sys.argv[1])) as store:
    store.put("ab" * 32, [Path(sys.argv[2]) / "a", Path(sys.argv[2]) / "b"], {"run": 2})
os._exit(0)
"""


@pytest.mark.parametrize("first", [True, False], ids=["new", "replaced"])
@pytest.mark.parametrize(
    ("step", "count"), [("copy", 0), ("copy", 1), *(("fsync", n) for n in range(5)), ("rename", 0), ("rename", 1)]
)
def test_a_run_killed_between_any_two_steps_leaves_no_half_entry(
    store: Store, tmp_path: Path, step: str, count: int, *, first: bool
) -> None:
    files = made(tmp_path / "out", a="one", b="two")
    if not first:
        with store:
            store.put(KEY, files, {"run": 1})
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    arguments = [sys.executable, str(script), str(store.root), str(tmp_path / "out"), step, str(count)]
    ended = subprocess.run(arguments, check=False)
    assert ended.returncode in {0, 9}
    if step != "rename" and (step, count) != ("fsync", 4):
        assert ended.returncode == 9
    with Store(store.root) as again:
        entry = again.entry(KEY)
        # Whole, of either run, or not there; and never a complaint, because nothing was damaged.
        assert entry is None or (entry.info["run"] in {1, 2} and entry.paths[1].read_text() == "two")
        if ended.returncode == 0:
            assert entry
            assert entry.info == {"run": 2}
        assert again.take_notices() == ()
        assert list((store.root / "staging").iterdir()) == []


_HOLDER = """
import sys, time
from pathlib import Path
from elpack.store import Store
with Store(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(root: Path, seconds: float) -> subprocess.Popen[str]:
    """Start a process that holds the store, and return once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(root), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_second_run_is_told_which_process_is_in_the_way(store: Store) -> None:
    with holder(store.root, 60) as process:
        try:
            with pytest.raises(StoreError) as caught, store:
                pass
            assert str(caught.value) == (
                f"{store.root}: another run, process {process.pid}, is at work\n"
                "  fix: wait for it to end, or stop it; a run that is gone leaves no lock behind"
            )
        finally:
            process.kill()
    with store:  # the killed process left no lock
        assert (store.root / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_run_may_wait(store: Store) -> None:
    told: list[str] = []
    with holder(store.root, 0.5) as process:
        start = time.monotonic()
        with Store(store.root, wait=None, waiting=told.append):
            assert time.monotonic() - start > 0.2
    assert told == [str(process.pid)]


def test_waiting_ends(store: Store) -> None:
    with holder(store.root, 60) as process:
        start = time.monotonic()
        with pytest.raises(StoreError, match="another run"), Store(store.root, wait=0.3):
            pass
        assert 0.3 <= time.monotonic() - start < 10
        process.kill()


def test_leaving_unlocks(store: Store) -> None:
    with store:
        pass
    with Store(store.root):
        pass


def test_leftovers_of_a_killed_run_are_removed(store: Store) -> None:
    leftover = store.root / "staging" / "tmp1" / "half.rpm"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    with store:
        assert list((store.root / "staging").iterdir()) == []


def test_the_journal_survives_a_torn_line(store: Store) -> None:
    assert list(store.events()) == []
    with store:
        store.journal({"event": "built", "key": KEY})
        assert [event["event"] for event in store.events()] == ["built"]
    with (store.root / "journal.jsonl").open("a") as file:
        file.write('{"event": "tor')
    with Store(store.root) as again:
        again.journal({"event": "after"})
        events = list(again.events())
    assert [event["event"] for event in events] == ["built", "after"]
    assert abs(events[1]["time"] - time.time()) < 60
    lines = (store.root / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["key"] == KEY


def test_the_journal_is_on_disk_when_the_process_is_killed(store: Store, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from elpack.store import Store\n"
        "with Store(Path(sys.argv[1])) as store:\n"
        "    store.journal({'event': 'x'}); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(store.root)], check=False).returncode == -9
    assert [event["event"] for event in store.events()] == ["x"]


def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used: Not a directory"), Store(tmp_path / "file" / "store"):
        pass


@pytest.mark.root
def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
    try:
        with Store(small / "store") as store:
            entry = store.put(KEY, made(tmp_path / "out", a="one"))
            with pytest.raises(DiskFullError) as caught:
                store.put(OTHER, made(tmp_path / "out", big="x" * 500_000))
            assert str(caught.value) == (
                f"{small / 'store'}: no space left in the store\n  fix: free some, then run again"
            )
            assert list((store.root / "staging").iterdir()) == []
            assert store.get(OTHER) is None
        with Store(small / "store") as again:
            assert again.entry(KEY) == entry
    finally:
        subprocess.run(["umount", small], check=True)

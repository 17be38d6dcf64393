from __future__ import annotations

import datetime as dt
import json

import pytest

from elpack.publication import (
    RELEASES,
    SNAPSHOTS,
    File,
    Id,
    Record,
    changed_packages,
    content_digest,
    moment,
    new_id,
    outlived,
    parse_id,
    reachable_files,
    read_record,
    same_content,
    served_at,
    still_asked_for,
)

NOW = dt.datetime(2026, 11, 23, 12, 30, 15, 999, tzinfo=dt.UTC)
DIGEST = "0123456789abcdef" * 4


def id_at(days: float, name: str = "shop-1-1") -> Id:
    """Return the id of what was published so many days before now."""
    return new_id(NOW - dt.timedelta(days=days), (), name, DIGEST)


def record(files: dict[str, File], id_: Id | None = None) -> Record:
    return Record(id_ or id_at(0), "shop", "1", 1, "2026-11-23T12:30:15+00:00", "A" * 40, files)


def file(sha256: str = DIGEST, unsigned: str = "") -> File:
    return File(5, sha256, unsigned)


def test_an_id_says_when_what_and_which() -> None:
    id_ = new_id(NOW, (), "shop-1!2.0+local-3", DIGEST)
    assert id_ == "20261123T123015Z-shop-1_2.0+local-3-0123456789ab"
    assert parse_id(id_) == id_
    assert moment(id_) == NOW.replace(microsecond=0)
    assert same_content(id_, DIGEST)
    assert not same_content(id_, "f" + DIGEST[1:])


def test_an_id_sorts_after_all_others_even_if_the_clock_went_back() -> None:
    later = id_at(-3, "zoo-9-9")
    assert new_id(NOW, (id_at(1), later), "shop-1-1", DIGEST) > later


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "current",
        "20261123T123015Z-a/b-0123456789ab",
        "20261199T123015Z-shop-1-1-0123456789ab",
        f"{id_at(0)}\n",
    ],
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no name of a publication|does not match format"):
        parse_id(text)


def test_the_digest_is_of_names_and_contents() -> None:
    files = {"a": file(), "b": file()}
    assert content_digest(files) == content_digest(dict(reversed(files.items())))
    assert (
        len({content_digest(one) for one in (files, {"a": file(), "c": file()}, {"a": file(), "b": file("f" * 64)})})
        == 3
    )


def test_a_record_is_read_as_it_was_written() -> None:
    written = record({"el9/x86_64/repo/a.rpm": file(unsigned="e" * 64), "el9/x86_64/shop.repo": file()})
    assert read_record(json.dumps(written.as_json())) == written
    assert written.size == 10


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"id": "../x"},
        {"files": {"../../etc/passwd": {"size": 1, "sha256": DIGEST}}},
        {"files": {"/etc/passwd": {"size": 1, "sha256": DIGEST}}},
        {"files": {"a": {"size": 1, "sha256": "x"}}},
        {"files": {"a": {"size": 1}}},
        {"files": []},
        {"revision": None},
        {"revision": float("inf")},
    ],
)
def test_a_record_that_elpack_did_not_write(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_record(json.dumps({**record({"a": file()}).as_json(), **change}))


@pytest.mark.parametrize(("text", "why"), [("[]", "format"), ("{", "Expecting"), ("[" * 100_000, "nested")])
def test_a_record_that_is_no_object(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_record(text)


def test_caches_ask_for_the_current_one_and_for_what_was_followed_lately() -> None:
    old, month, week, now = id_at(60), id_at(30), id_at(3), id_at(0)
    ids = [now, old, week, month]
    # month was the current one until three days ago
    assert still_asked_for(ids, now, NOW) == [now, week, month]
    # after a rollback to the oldest
    assert still_asked_for(ids, old, NOW) == [now, week, month, old][1:]
    assert still_asked_for([], None, NOW) == []


def test_only_what_hosts_ask_for_by_old_metadata_stays() -> None:
    files = (
        *("el9/x86_64/repo/a.rpm", "el9/x86_64/debug/d.rpm", "el9/x86_64/repo/repodata/f-primary.xml.gz"),
        *("el9/x86_64/repo/repodata/repomd.xml", "el9/x86_64/repo/repodata/repomd.xml.asc"),
        *("el9/x86_64/srpms/a.src.rpm", "el9/x86_64/manifest.json", "el9/x86_64/buildroot/b.rpm"),
    )
    assert reachable_files(record({path: file() for path in files})) == list(files[:3])


@pytest.mark.parametrize(
    ("keep", "current", "gone"), [(1, 4, [0, 1, 2]), (3, 4, [0, 1]), (9, 4, []), (1, 1, [2, 3]), (2, 0, [1, 2])]
)
def test_neither_the_current_one_nor_the_one_before_goes(keep: int, current: int, gone: list[int]) -> None:
    ids = [id_at(5 - number) for number in range(5)]
    assert outlived(ids, ids[current], keep) == [ids[number] for number in gone]


def test_another_content_of_the_same_name() -> None:
    path, other = "el9/x86_64/repo/a.rpm", "f" * 64
    old = record({path: file(unsigned="e" * 64), "el9/x86_64/manifest.json": file(), "el9/x86_64/srpms/a.rpm": file()})
    new = {key: file(other) for key in old.files}
    assert changed_packages(new, [old]) == {path: old.id}
    # signed anew: the same before it was signed
    assert changed_packages({path: file(other, unsigned="e" * 64)}, [old]) == {}
    assert changed_packages({path: file()}, [old]) == {}


def test_addresses_for_customers() -> None:
    url = "https://shop.example.org/rpm"
    assert served_at(url, RELEASES, "el9/x86_64") == f"{url}/current/el9/$basearch"
    assert served_at(url, SNAPSHOTS, "el9/aarch64/bundle") == f"{url}/current-snapshot/el9/$basearch/bundle"

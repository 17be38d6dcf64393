"""Which first-party package needs which, and what is said of why one was made."""

from __future__ import annotations

import pytest
from packaging.version import Version

from elpack.lineage import Member, Record, in_order, needed_by, parse_record, record_text
from elpack.model import SelectedDist
from elpack.naming import dist_name

OWN = tuple(map(dist_name, ("app", "base", "lib", "side")))


def dist(name: str, *requires: str) -> SelectedDist:
    names = tuple(map(dist_name, requires))
    return SelectedDist(dist_name(name), Version("1.0"), frozenset(), names, None, (), 1)


def member(name: str, sha256: str = "old", *needs: str) -> Member:
    return Member(dist_name(name), "1.0", "index", f"{name}-1.0.tar.gz", sha256, frozenset(map(dist_name, needs)))


def test_needs_go_through_what_is_not_ours_and_end_in_circles() -> None:
    dists = (dist("app", "third", "side"), dist("third", "lib"), dist("lib", "base"), dist("base", "lib"), dist("side"))
    assert needed_by(dists, OWN) == {
        "app": {"lib", "base", "side"},
        "lib": {"base"},
        "base": {"lib"},
        "side": frozenset(),
    }


def test_each_comes_after_what_it_needs() -> None:
    members = [member("app", "", "lib", "base", "side"), member("lib", "", "base"), member("side"), member("base")]
    assert [one.name for one in in_order(members)] == ["base", "side", "lib", "app"]


@pytest.mark.parametrize(
    ("name", "made", "why"),
    [
        ("base", True, "its source changed"),
        ("lib", True, "base changed"),
        ("side", True, "what it is built with changed"),
        ("fresh", True, "new"),
        ("base", False, "built before"),
        ("lib", False, "not changed"),
    ],
)
def test_the_reason_is_the_difference_to_the_last_finished_results(name: str, made: bool, why: str) -> None:  # noqa: FBT001
    before = [member("base"), member("lib", "old", "base"), member("side")]
    record = Record().after("here", before)
    now = [member("base", "new"), *before[1:], member("fresh")]
    (one,) = (one for one in now if one.name == name)
    assert record.why("here", one, now, made=made) == why
    assert record.why("elsewhere", one, now, made=True) == "new", "each place has a record of its own"


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record().after("sdists", [member("lib"), member("base", "new")]).after("el9/x86_64", [member("lib")])
    assert parse_record(record_text(record)) == record
    assert record_text(parse_record(record_text(record))) == record_text(record)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": 2, "places": {}}', '{"format": 1}', '{"format": 1, "places": []}'),
        *('{"format": 1, "places": {"a": 1}}', '{"format": 1, "places": {"a": {"": "x"}}}', "[" * 100_000, "\udcff"),
    ],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_record(text.encode(errors="surrogateescape"))

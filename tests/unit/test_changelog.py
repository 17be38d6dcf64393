from __future__ import annotations

import datetime as dt
import tomllib

import pytest
from packaging.version import Version

from elpack.changelog import Entry, backwards, changelog_text, entries_of, missing, parse_changelog
from elpack.errors import ConfigError
from elpack.naming import dist_name
from elpack.plan.make import make_plan
from elpack.render import render_spec

from .plans import Case

FILE = "specs/changelog.toml"


def entry(version: str, day: int, *, dist: str = "own", revision: int = 1, text: str = "") -> Entry:
    return Entry(dist_name(dist), Version(version), revision, dt.date(2026, 10, day), (text or f"{dist} {version}",))


def versions(entries: tuple[Entry, ...]) -> list[str]:
    return [f"{one.version}-{one.revision}" for one in entries]


def test_what_is_written_is_read_newest_first() -> None:
    entries = (entry("1.0", 1), entry("1.1", 5, text='with "quotes" and \\'), entry("1.1", 5, revision=2))
    text = changelog_text(entries)
    assert parse_changelog(text, FILE) == (entries[2], entries[1], entries[0])
    assert changelog_text(reversed(entries)) == text
    assert [one["revision"] for one in tomllib.loads(text)["entry"]] == [2, 1, 1]


def test_a_new_version_stands_above_the_old_ones() -> None:
    old = (entry("1.0", 1), entry("0.9", 1), entry("9.0", 3, dist="other"))
    assert versions(entries_of(old, entry("1.1", 7))) == ["1.1-1", "1.0-1", "0.9-1"]


def test_a_version_that_was_written_down_keeps_its_day_and_words() -> None:
    old = (entry("1.0", 1, text="The first."),)
    assert entries_of(old, entry("1.0", 20)) == old


def test_an_older_version_packaged_again_does_not_speak_of_the_newer_one() -> None:
    assert versions(entries_of((entry("2.0", 9), entry("1.0", 1)), entry("1.0", 9))) == ["1.0-1"]


def test_a_new_version_dated_before_the_last_is_told() -> None:
    old = (entry("1.0", 9),)
    problem = backwards(old, entry("1.1", 8))
    assert problem is not None
    assert problem.what == "own 1.1 would be dated 2026-10-08, before 1.0 of 2026-10-09"
    assert backwards(old, entry("1.1", 9)) is None
    assert backwards(old, entry("1.0", 9)) is None


def test_what_has_no_entry_yet() -> None:
    assert missing((entry("1.0", 1),), (entry("1.0", 7), entry("1.0", 7, revision=2))) == [entry("1.0", 7, revision=2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("text = [", "texts = ["), "unknown key"),
        (('version = "1.0"', 'version = "one"'), "'one' is not a PEP 440 version"),
        (("date = 2026-10-01", 'date = "soon"'), "expected a date"),
        (('    "own 1.0",\n', ""), "an entry says something"),
        (('"own 1.0"', '"own\\n%prep"'), "without control characters"),
        (('dist = "own"', 'dist = "own "'), "not a valid name"),
        (("revision = 1", "revision = 0"), "expected 1 or more, found 0"),
        (("date = 2026", "date = 1969"), "expected a year from 1980 to 2099, found 1969-10-01"),
        (("date = 2026", "date = 2100"), "expected a year from 1980 to 2099"),
    ],
)
def test_mistakes(change: tuple[str, str], message: str) -> None:
    text = changelog_text([entry("1.0", 1)])
    assert change[0] in text
    with pytest.raises(ConfigError, match=message) as caught:
        parse_changelog(text.replace(*change), FILE)
    assert all(problem.where.startswith(FILE) for problem in caught.value.problems)


def test_contradictions_are_all_told() -> None:
    text = changelog_text([entry("1.0", 5), entry("1.1", 4), entry("1.0", 5)])
    with pytest.raises(ConfigError) as caught:
        parse_changelog(text, FILE)
    assert [problem.what for problem in caught.value.problems] == [
        "own 1.0-1 is there twice",
        "own 1.1-1 is dated before 1.0-1",
    ]


def test_the_spec_keeps_the_history_and_its_top_dates_the_files() -> None:
    plan = make_plan(Case(changelog=(entry("0.9", 2, dist="app", text="50 % done"),)).inputs())
    package = next(one for one in plan.packages if one.node == "stack/app")
    spec = render_spec(package, plan, "A <a@example.org>", 1)
    assert spec.partition("%changelog\n")[2].splitlines() == [
        "* Sun Nov 01 2026 A <a@example.org> - 2.0.0-1",
        "- app 2.0",
        "",
        "* Fri Oct 02 2026 A <a@example.org> - 0.9.0-1",
        "- 50 %% done",
    ]
    assert package.date == dt.date(2026, 11, 1)


def test_what_did_not_change_keeps_its_date() -> None:
    plan = make_plan(Case(changelog=(entry("2.0", 2, dist="app"),)).inputs())
    assert next(one for one in plan.packages if one.node == "stack/app").date == dt.date(2026, 10, 2)

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest

from elpack.tables import Table, parse_toml


def _messages(table: Table) -> list[str]:
    return [str(problem) for problem in table.problems]


def _table(text: str) -> Table:
    return parse_toml("elpack.toml", text)


def test_values_are_returned_as_they_are_written() -> None:
    table = _table('s = "x"\ni = 3\nb = false\nl = ["a", "b"]\nd = 2026-11-01')
    assert table.get("s", str) == "x"
    assert table.get("i", int) == 3
    assert table.get("b", bool) is False
    assert table.strings("l") == ("a", "b")
    assert table.get("d", dt.date) == dt.date(2026, 11, 1)
    table.done()
    assert table.problems == []


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("k = 1", str, "elpack.toml: k: expected a string, found an integer"),
        ("k = true", int, "elpack.toml: k: expected an integer, found true or false"),
        ("k = 1", bool, "elpack.toml: k: expected true or false, found an integer"),
        ("k = 1.5", int, "elpack.toml: k: expected an integer, found float"),
        ('k = "a"', list, "elpack.toml: k: expected an array, found a string"),
        ("k = []", dict, "elpack.toml: k: expected a table, found an array"),
        ('k = "2026-11-01"', dt.date, "elpack.toml: k: expected a date such as 2026-11-01, found a string"),
        ("k = 2026-11-01T10:00:00", dt.date, "elpack.toml: k: expected a date such as 2026-11-01, found datetime"),
    ],
)
def test_another_type_is_named_and_reading_goes_on(text: str, kind: type, message: str) -> None:
    table = _table(text)
    assert isinstance(table.get("k", kind), kind)
    assert _messages(table) == [message]


def test_a_missing_key_is_an_error_only_without_a_default() -> None:
    table = _table("")
    assert table.get("name", str, "none") == "none"
    assert table.get("shown", bool, False) is False
    assert table.get("name", str) == ""
    assert table.get("date", dt.date) == dt.date(1970, 1, 1)
    assert _messages(table) == [
        "elpack.toml: name: this key is required\n  fix: add name = …",
        "elpack.toml: date: this key is required\n  fix: add date = …",
    ]


def test_wrong_items_of_an_array_are_named_and_left_out() -> None:
    table = _table('k = ["a", 1, {}, "b", 2.5]')
    assert table.strings("k") == ("a", "b")
    assert _messages(table) == [
        "elpack.toml: k[1]: expected a string, found an integer",
        "elpack.toml: k[2]: expected a string, found a table",
        "elpack.toml: k[4]: expected a string, found float",
    ]


def test_a_parser_s_complaint_gets_the_key() -> None:
    table = _table('[a]\nk = "x"\n')
    assert table.table("a").parsed("k", int) is None
    assert _messages(table) == ["elpack.toml: a.k: invalid literal for int() with base 10: 'x'"]


def test_a_parser_is_not_asked_about_a_missing_or_mistyped_value() -> None:
    table = _table("k = 1")
    assert table.parsed("k", pytest.fail) is None
    assert table.parsed("absent", pytest.fail) is None
    assert table.parsed("defaulted", int, "7") == 7
    assert len(table.problems) == 2


def test_nested_tables_know_their_path_and_share_their_problems() -> None:
    table = _table("[a]\n[[a.b]]\nk = 1\n[[a.b]]\nk = 2\n")
    for entry in table.table("a").tables("b"):
        entry.get("k", str)
    assert [problem.where for problem in table.problems] == ["elpack.toml: a.b[0].k", "elpack.toml: a.b[1].k"]


def test_an_item_that_is_no_table_is_passed_over() -> None:
    table = _table("k = [{}, 3]")
    assert len(list(table.tables("k"))) == 1
    assert _messages(table) == ["elpack.toml: k[1]: expected a table, found an integer"]


def test_named_tables_are_all_known() -> None:
    table = _table("[x]\n[y]\n")
    assert [name for name, _ in table.named_tables()] == ["x", "y"]
    table.done()
    assert table.problems == []


def test_unknown_keys_are_told_the_nearest_one_or_all() -> None:
    table = _table("nmae = 1\nzzz = 2\n")
    table.get("name", str, "")
    table.get("date", str, "")
    table.done()
    assert _messages(table) == [
        "elpack.toml: nmae: unknown key\n  fix: did you mean name?",
        "elpack.toml: zzz: unknown key\n  fix: known keys: date, name",
    ]


def test_the_order_of_unknown_keys_does_not_hang_on_the_hash_seed() -> None:
    program = (
        "from elpack.tables import parse_toml\n"
        "table = parse_toml('f', 'q=1\\nw=1\\ne=1\\nr=1\\nnamf=1')\n"
        "[table.get(key, str, '') for key in ('name', 'namx', 'namz')]\n"
        "table.done()\nprint(*table.problems)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "not valid TOML: Invalid value"),
        ("a = 1\na = 2", "not valid TOML: Cannot overwrite a value"),
        ("a = " + "[" * 100_000, "not valid TOML: nested too deeply"),
    ],
    ids=["no value", "twice", "deep"],
)
def test_text_that_is_no_toml_is_a_value_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _table(text)

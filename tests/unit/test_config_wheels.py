from __future__ import annotations

import pytest

from elpack.config.wheels import read_wheels
from elpack.naming import dist_name
from elpack.tables import parse_toml
from elpack.wheels.model import INTERPRETERS, MUSLLINUX, Implementation, Wheels

VARIABLE = '[[environment]]\nname = "X"\nvalue = "1"\nreason = "r"\n'


def test_an_empty_table_asks_for_all_that_is_known() -> None:
    table = parse_toml("f", "")
    assert read_wheels(table) == Wheels()
    assert not table.problems
    assert Wheels().platforms == ("manylinux_2_28", "manylinux_2_34")


def test_what_is_written_counts_in_its_order() -> None:
    text = 'packages = ["Zlm_db"]\ninterpreters = ["pp311", "cp313"]\npolicies = ["manylinux_2_34"]\nmusllinux = true'
    wheels = read_wheels(parse_toml("f", text))
    assert wheels.packages == (dist_name("zlm-db"),)
    assert wheels.interpreters == (INTERPRETERS["pp311"], INTERPRETERS["cp313"])
    assert wheels.platforms == ("manylinux_2_34", MUSLLINUX)


def test_a_variable_is_set_where_it_belongs_only() -> None:
    only = f'{VARIABLE}packages = ["a_b"]\nimplementations = ["pypy"]'
    wheels = read_wheels(parse_toml("f", only))
    assert wheels.variables(dist_name("a-b"), Implementation.PYPY) == {"X": "1"}
    assert wheels.variables(dist_name("a-b"), Implementation.CPYTHON) == {}
    assert wheels.variables(dist_name("c"), Implementation.PYPY) == {}
    everywhere = read_wheels(parse_toml("f", VARIABLE))
    assert everywhere.variables(dist_name("c"), Implementation.CPYTHON) == {"X": "1"}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('interpreters = ["cp310"]', "interpreters", "cp310"),
        ("interpreters = []", "interpreters", "expected at least one"),
        ('arches = ["riscv64"]', "arches", "riscv64"),
        ('policies = ["manylinux1"]', "policies", "manylinux1"),
        ('polices = ["manylinux_2_28"]', "polices", "unknown key"),
        (VARIABLE.replace('"X"', '"1X"'), "environment[0].name", "expected letters"),
        (VARIABLE.replace('"X"', '"PIP_INDEX_URL"'), "environment[0].name", "is elpack's to set"),
        (VARIABLE.replace('"1"', '"$(id)"'), "environment[0].value", "read as bash would"),
        (VARIABLE.replace('"r"', '" "'), "environment[0].reason", "one line"),
        ('[[environment]]\nname = "X"\nvalue = "1"', "environment[0].reason", "required"),
        (f'{VARIABLE}implementations = ["jython"]', "environment[0].implementations", "jython"),
    ],
)
def test_mistakes_are_told_at_their_keys(text: str, where: str, what: str) -> None:
    table = parse_toml("f", text)
    read_wheels(table)
    (problem,) = table.problems
    assert problem.where == f"f: {where}"
    assert what in problem.what

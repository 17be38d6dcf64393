"""What the targets' repositories ship: the data files are valid, and mistakes in them are told."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from elpack.errors import ElpackError
from elpack.naming import dist_name
from elpack.targets import TargetChoice, _facts, known_targets, resolve_target
from elpack.targets.shipped import parse_shipped, shipped, shipped_as_of, shipped_data
from elpack.targets.shipped.text import render_shipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.model import Target

APPSTREAM = (
    *("cffi", "charset-normalizer", "cryptography", "idna", "numpy", "pycparser", "pyyaml", "requests", "setuptools"),
    *("six", "urllib3"),
)
CRB = ("attrs", "packaging")
VALID = """\
date = 2026-11-01
repositories = ["appstream", "epel"]
enabled = ["appstream"]
[python."3.12"]
cffi = { rpm = "python3.12-cffi", repository = "appstream", version = "1.16" }
psutil = { rpm = "python3.12-psutil", repository = "epel" }
"""


def target(name: str, python: str) -> Target:
    return resolve_target(TargetChoice(name, python, ("x86_64",)), "x86_64")


@pytest.mark.parametrize("name", known_targets())
def test_each_target_has_data_for_its_pythons(name: str) -> None:
    assert set(shipped_data(name).dists) == set(_facts(name)["python"])
    for python in shipped_data(name).dists:
        dists = shipped(target(name, python))
        assert list(dists) == sorted(dists)
        assert shipped_as_of(target(name, python)) >= dt.date(2026, 1, 1)


@pytest.mark.parametrize("python", ["3.12", "3.11"])
def test_what_is_known_of_rhel_9(python: str) -> None:
    dists = shipped(target("el9", python))
    assert {dists[name].repository for name in map(dist_name, APPSTREAM)} == {"appstream"}
    assert {dists[name].repository for name in map(dist_name, CRB)} == {"crb"}
    assert {one.repository for one in dists.values()} == {"appstream", "crb", "epel"}
    for name in (*APPSTREAM, *CRB):
        assert dists[dist_name(name)].rpm == f"python{python}-{name}"
    for one in dists.values():
        assert one.enabled == (one.repository != "epel"), one


def test_repositories_that_are_switched_on_are_the_target_s_own() -> None:
    own = {repository.id for repository in target("el9", "3.12").repositories}
    data = shipped_data("el9")
    assert data.enabled == own & set(data.repositories)


def test_the_stand_in_ships_none() -> None:
    assert shipped(target("el9-standin", "3.11")) == {}


def test_a_python_without_data_is_not_one_without_dists(make_target: Callable[[str, str], Target]) -> None:
    with pytest.raises(ElpackError, match=re.escape("what el9 ships for Python 3.13")):
        shipped(make_target("3.13", "x86_64"))


def test_reading() -> None:
    data = parse_shipped("x.toml", VALID)
    cffi, psutil = data.dists["3.12"].values()
    assert (cffi.dist, cffi.rpm, cffi.version, cffi.enabled) == ("cffi", "python3.12-cffi", Version("1.16.0"), True)
    assert (psutil.repository, psutil.version, psutil.enabled) == ("epel", None, False)
    assert (data.date, set(data.enabled)) == (dt.date(2026, 11, 1), {"appstream"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("psutil =", "PSutil =", "x.toml: python.3.12.PSutil: PSutil is not a normalised name\n  fix: write psutil"),
        ("psutil =", '"p s" =', "python.3.12.p s: 'p s' is not a valid name"),
        ("psutil =", "aaa =", "x.toml: python.3.12: the dists are not sorted"),
        ('"epel" }', '"eple" }', "psutil.repository: unknown repository 'eple'\n  fix: known: appstream, epel"),
        ('"epel" }', '"epel", versoin = "1" }', "psutil.versoin: unknown key\n  fix: did you mean version?"),
        ('"1.16"', '"latest"', "python.3.12.cffi.version: 'latest' is not a PEP 440 version"),
        ('"1.16"', "1.16", "python.3.12.cffi.version: expected a string"),
        ('"python3.12-cffi"', '"%(id)"', "python.3.12.cffi.rpm: '%(id)' is not a valid RPM name"),
        ('enabled = ["appstream"]', 'enabled = ["crb"]', "x.toml: enabled: crb is none of the repositories"),
        ("date = 2026-11-01", 'date = "today"', "x.toml: date: expected a date"),
        ('"3.12"', '"three"', "'three' is no version of Python"),
        ("date =", "date", "x.toml: not valid TOML"),
    ],
)
def test_mistakes(old: str, new: str, message: str) -> None:
    assert old in VALID
    with pytest.raises(ElpackError) as refusal:
        parse_shipped("x.toml", VALID.replace(old, new))
    assert message in str(refusal.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ElpackError) as refusal:
        parse_shipped("x.toml", VALID.replace("psutil =", "PSutil =").replace("1.16", "latest"))
    assert len(refusal.value.problems) == 3  # "P" sorts before "c" as well


@pytest.mark.parametrize("name", known_targets())
def test_what_is_written_is_read_back(name: str) -> None:
    data = shipped_data(name)
    text = render_shipped(data, ["As measured.", ""])
    assert text.startswith("# As measured.\n#\ndate = ")
    assert parse_shipped("x.toml", text) == data

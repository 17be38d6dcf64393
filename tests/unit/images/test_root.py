"""What of an installed root goes into an image, and with which bytes."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.unit.plans import Case

from elpack.errors import ImageError
from elpack.images.root import FIRST_PARTY, THIRD_PARTY, accounts, content, layer_of, left_out, mode_of, seconds
from elpack.plan.make import make_plan
from elpack.plan.model import Role

WHEN = seconds(dt.date(2026, 11, 20))
DAY = 20777
PASSWD, GROUP = "root:x:0:0:root:/root:/bin/sh", "root:x:0:\nusers:x:1000:"


@pytest.mark.parametrize(
    ("path", "owned", "out"),
    [
        ("etc/passwd-", True, True),
        ("var/lib/rpm/rpmdb.sqlite", False, True),
        ("var/lib/dnf", False, True),
        ("var/lib/rpm", True, False),
        ("var/log/dnf.log", False, True),
        ("var/log/README", True, False),
        ("var/log", False, False),
        ("etc/dnf/modules.d", False, True),
        ("usr/lib/python3.12/__pycache__/a.pyc", False, True),
        ("usr/lib/python3.12/__pycache__/a.pyc", True, False),
        ("etc/ld.so.cache", False, False),
        ("runner", False, False),
        ("tmp", False, False),
    ],
)
def test_bookkeeping_is_left_out(path: str, owned: bool, out: bool) -> None:  # noqa: FBT001 - a table
    assert left_out(path, owned=owned) is out


def test_today_is_the_release_s_date() -> None:
    shadow = b"root:*:19000:0:99999:7:::\nnew:!:99999::::::\nodd:!::\n"
    expected = f"root:*:19000:0:99999:7:::\nnew:!:{DAY}::::::\nodd:!::\n".encode()
    assert content("etc/shadow", shadow, WHEN) == expected
    assert content("etc/machine-id", b"4711\n", WHEN) == b""
    assert content("etc/hosts", b"here\n", WHEN) == b"here\n"


def test_nobody_becomes_another_user() -> None:
    assert mode_of(0o104755) == 0o755
    assert mode_of(0o102755) == 0o755
    assert mode_of(0o101777) == 0o1777


def test_the_user_is_added_to_the_files_that_there_are() -> None:
    files = {"passwd": PASSWD, "group": "root:x:0:\n", "shadow": "root:*:19000::::::\n"}
    found = accounts(files, "shop", "shops", 1234, "/data", WHEN)
    assert found["passwd"] == f"{PASSWD}\nshop:x:1234:1234:shop:/data:/sbin/nologin\n"
    assert found["group"] == "root:x:0:\nshops:x:1234:\n"
    assert found["shadow"] == f"root:*:19000::::::\nshop:!:{DAY}::::::\n"
    assert "gshadow" not in found
    assert accounts({}, "shop", "shop", 1234, "/data", WHEN).keys() == {"passwd", "group"}


def test_names_and_numbers_that_are_taken_are_told_at_once() -> None:
    with pytest.raises(ImageError) as caught:
        accounts({"passwd": PASSWD, "group": GROUP}, "root", "shop", 1000, "/data", WHEN)
    assert [(problem.what, problem.where) for problem in caught.value.problems] == [
        ("the target's own passwd has root with number 0", "/etc/passwd"),
        ("the target's own group has users with number 1000", "/etc/group"),
    ]


def test_only_packages_of_others_are_in_the_layer_that_changes_less() -> None:
    plan = make_plan(Case().inputs())
    found = layer_of(plan)
    for package in plan.published():
        assert found[str(package.rpm)] == (THIRD_PARTY if package.role is Role.THIRD_PARTY else FIRST_PARTY)
    assert len(set(found.values())) == 2

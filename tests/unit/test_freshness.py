from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from elpack.errors import LockError
from elpack.freshness import check_fresh
from elpack.lockfile import parse_uv_lock
from elpack.naming import dist_name

if TYPE_CHECKING:
    from pathlib import Path

REQUIRES = (
    "django>=5.1,<5.3",
    "fastapi[standard]>=0.115",
    "celery[redis]>=5.4",
    "colorlog; sys_platform == 'win32'",
    "tomli; python_version < '3.12'",
)


def check(data: Path, requires: tuple[str, ...], optional: dict[str, tuple[str, ...]] | None = None) -> None:
    lock = parse_uv_lock((data / "locks" / "web" / "uv.lock").read_text(), "uv.lock")
    check_fresh(lock, dist_name("web-shop"), requires, optional)


def refused(data: Path, requires: tuple[str, ...], optional: dict[str, tuple[str, ...]] | None = None) -> str:
    with pytest.raises(LockError) as caught:
        check(data, requires, optional)
    return str(caught.value)


@pytest.mark.parametrize("name", ["web", "conflicts", "forks", "sources"])
def test_real_projects_are_fresh(data: Path, name: str) -> None:
    folder = data / "locks" / name
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    lock = parse_uv_lock((folder / "uv.lock").read_text(), "uv.lock")
    optional = {extra: tuple(texts) for extra, texts in project.get("optional-dependencies", {}).items()}

    check_fresh(lock, dist_name(project["name"]), tuple(project["dependencies"]), optional)


def test_other_spellings_and_orders_are_the_same(data: Path) -> None:
    check(data, (*reversed(REQUIRES[1:]), "Django <5.3, >=5.1"))
    check(data, ("django>=5.01,<5.3", *REQUIRES[1:]))


def test_what_the_targets_never_see_does_not_matter(data: Path) -> None:
    check(data, (*REQUIRES, "pywin32; sys_platform == 'win32'"))


@pytest.mark.parametrize(
    ("requires", "message"),
    [
        ((*REQUIRES, "six"), "web-shop requires six, which the lock was not made for"),
        (REQUIRES[1:], "the lock was made for django<5.3,>=5.1, which web-shop does not require"),
        (("django>=5.2,<5.3", *REQUIRES[1:]), "web-shop requires django<5.3,>=5.2, which the lock was not made for"),
        (("django>=5.1,<5.3", "fastapi>=0.115", *REQUIRES[2:]), "web-shop requires fastapi>=0.115, which"),
        ((*REQUIRES[:4], "tomli"), "web-shop requires tomli under other conditions than the lock"),
    ],
)
def test_a_change_makes_it_stale(data: Path, requires: tuple[str, ...], message: str) -> None:
    found = refused(data, requires)
    assert message in found
    assert "fix: uv lock" in found
    assert found.startswith("uv.lock:")


def test_optional_requirements_count_when_given(data: Path) -> None:
    assert "web-shop for its extra postgres requires psycopg[pool]>=3.2" in refused(
        data, REQUIRES, {"postgres": ("psycopg[pool]>=3.2",)}
    )


def test_something_that_is_no_requirement_is_told(data: Path) -> None:
    assert "'>=1' is not a requirement" in refused(data, (">=1",))


def test_a_root_from_an_index_has_nothing_to_compare(data: Path) -> None:
    lock = parse_uv_lock((data / "locks" / "web" / "uv.lock").read_text(), "uv.lock")
    check_fresh(lock, dist_name("django"), ("anything",))


def test_a_root_without_its_requirements_is_told() -> None:
    text = 'version = 1\nrequires-python = ">=3.11"\n[[package]]\nname = "a"\nsource = { virtual = "." }\n'
    with pytest.raises(LockError, match="does not say what requirements of a it was made from"):
        check_fresh(parse_uv_lock(text, "uv.lock"), dist_name("a"), ("six",))

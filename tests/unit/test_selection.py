from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from elpack.errors import LockError
from elpack.lockfile import parse_uv_lock
from elpack.naming import dist_name
from elpack.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.model import Selection, Target

    MakeTarget = Callable[[str, str], Target]

LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1.0"
source = { editable = "." }
dependencies = [
    { name = "base", extra = ["fast"] },
    { name = "six", version = "1.0", source = PYPI, marker = "python_full_version < '3.12'" },
    { name = "six", version = "2.0", source = PYPI, marker = "python_full_version >= '3.12'" },
]

[package.optional-dependencies]
more = [
    { name = "app", extra = ["most"] },
    { name = "extra-only" },
]
most = [{ name = "most-only" }]

[package.dev-dependencies]
dev = [{ name = "dev-only" }]

[package.metadata]
provides-extras = ["more", "most", "empty"]

[[package]]
name = "base"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "app" }]

[package.optional-dependencies]
fast = [{ name = "faster", marker = "platform_machine == 'aarch64'" }]
"""
LOCK = LOCK.replace("PYPI", '{ registry = "https://pypi.org/simple" }')
SINGLE = '\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://pypi.org/simple" }}\n'
REST = "".join(SINGLE.format(name=name, version="1.0") for name in ("faster", "extra-only", "most-only", "dev-only"))
REST += SINGLE.format(name="six", version="1.0") + SINGLE.format(name="six", version="2.0")


def selection(text: str, target: Target, *extras: str) -> Selection:
    lock = parse_uv_lock(text, "uv.lock")
    return select(lock, dist_name("app"), target, frozenset(map(dist_name, extras)))


def line_of(text: str, name: str, version: str) -> int:
    """Return the line of an entry's header, counted from 1."""
    head, found, _ = text.partition(f'[[package]]\nname = "{name}"\nversion = "{version}"\n')
    assert found
    return head.count("\n") + 1


def pins(text: str, target: Target, *extras: str) -> list[str]:
    return [f"{dist.name} {dist.version}" for dist in selection(text, target, *extras).dists]


def refused(text: str, target: Target, *extras: str) -> str:
    with pytest.raises(LockError) as caught:
        selection(text, target, *extras)
    return str(caught.value)


def test_markers_choose_and_groups_are_left_out(make_target: MakeTarget) -> None:
    assert pins(LOCK + REST, make_target("3.12", "x86_64")) == ["app 1.0", "base 1.0", "six 2.0"]
    assert pins(LOCK + REST, make_target("3.11", "aarch64")) == ["app 1.0", "base 1.0", "faster 1.0", "six 1.0"]


def test_extras_may_ask_for_extras_of_their_own_project(make_target: MakeTarget) -> None:
    found = pins(LOCK + REST, make_target("3.12", "x86_64"), "more")
    assert found == ["app 1.0", "base 1.0", "extra-only 1.0", "most-only 1.0", "six 2.0"]


def test_edges_and_extras_are_kept(make_target: MakeTarget) -> None:
    dists = selection(LOCK + REST, make_target("3.12", "aarch64"), "more").by_name()

    assert dists[dist_name("app")].requires == ("base", "extra-only", "most-only", "six")
    assert dists[dist_name("app")].extras == {"more", "most"}
    assert dists[dist_name("base")].requires == ("app", "faster")
    assert dists[dist_name("base")].extras == {"fast"}


def test_an_empty_extra_is_no_mistake(make_target: MakeTarget) -> None:
    assert len(pins(LOCK + REST, make_target("3.12", "x86_64"), "empty")) == 3


def test_an_unknown_extra_is_told_with_its_neighbour(make_target: MakeTarget) -> None:
    message = refused(LOCK + REST, make_target("3.12", "x86_64"), "mroe")
    assert "uv.lock:6: app has no extra mroe" in message
    assert "did you mean more?" in message


def test_a_missing_entry_is_told(make_target: MakeTarget) -> None:
    message = refused(LOCK + REST.replace('"faster"', '"slower"'), make_target("3.12", "aarch64"))
    assert "base requires faster, which the lock does not hold" in message


def test_an_edge_that_two_entries_meet_is_told(make_target: MakeTarget) -> None:
    other = SINGLE.format(name="base", version="2.0")
    assert "app requires base, which the lock holds more than once" in refused(
        LOCK + REST + other, make_target("3.12", "x86_64")
    )


def test_edges_tell_sources_of_one_version_apart(make_target: MakeTarget) -> None:
    other = SINGLE.format(name="six", version="2.0").replace("pypi.org", "other.example.org")
    text = (LOCK + REST + other).replace("'3.12'", "'3.0'")

    dist = selection(text, make_target("3.12", "x86_64")).by_name()[dist_name("six")]

    assert dist.line == line_of(text, "six", "2.0")


def test_two_versions_at_once_are_refused(make_target: MakeTarget) -> None:
    text = LOCK.replace(", marker = \"python_full_version < '3.12'\"", "") + REST
    message = refused(text, make_target("3.12", "x86_64"))
    first, second = line_of(text, "six", "1.0"), line_of(text, "six", "2.0")
    assert message.startswith(f"uv.lock:{second}: six is selected twice: 1.0 (line {first}) and 2.0")


def test_a_root_that_is_not_there(make_target: MakeTarget) -> None:
    lock = parse_uv_lock(LOCK + REST, "uv.lock")
    with pytest.raises(LockError, match=r"the lock does not hold other\n.*the lock's own projects: app"):
        select(lock, dist_name("other"), make_target("3.12", "x86_64"))
    with pytest.raises(LockError, match="the lock holds six 2 times; a root must be there once"):
        select(lock, dist_name("six"), make_target("3.12", "x86_64"))


def test_another_python_is_refused(make_target: MakeTarget) -> None:
    message = refused(LOCK.replace(">=3.11", ">=3.13") + REST, make_target("3.12", "x86_64"))
    assert "uv.lock: requires-python: the lock is for Python >=3.13, the target has 3.12" in message


def test_another_platform_is_refused(make_target: MakeTarget) -> None:
    text = LOCK.replace("requires-python", "supported-markers = [\"sys_platform == 'win32'\"]\nrequires-python") + REST
    message = refused(text, make_target("3.12", "x86_64"))
    assert 'the lock was not made for el9 / 3.12 / x86_64, only for sys_platform == "win32"' in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('git = "https://example.org/six#0"', "six 2.0 comes from a git repository (https://example.org/six#0)"),
        ('url = "https://example.org/six.whl"', "six 2.0 comes from a URL outside any index"),
        ('path = "six.whl"', "six 2.0 comes from a path on the machine that locked (six.whl)"),
        ('directory = "six"', "six 2.0 comes from a path on the machine that locked (six)"),
        ('registry = "../wheels"', "six 2.0 comes from a path on the machine that locked (../wheels)"),
        ('editable = "six"', "six 2.0 comes from a checkout (six)"),
        ('virtual = "six"', "six 2.0 comes from a folder that is not a package (six)"),
    ],
)
def test_sources_that_are_no_index_are_refused_where_selected(
    make_target: MakeTarget, source: str, message: str
) -> None:
    pypi = 'registry = "https://pypi.org/simple"'
    head, _, tail = LOCK.partition('version = "2.0", source = { ' + pypi)
    entry = SINGLE.format(name="six", version="2.0")
    text = f'{head}version = "2.0", source = {{ {source}{tail}{REST}'.replace(entry, entry.replace(pypi, source))

    found = refused(text, make_target("3.12", "x86_64"))

    assert found.startswith(f"uv.lock:{line_of(text, 'six', '2.0')}: {message}")
    assert "or name it as a first-party package in the release file" in found
    assert len(pins(text, make_target("3.11", "x86_64"))) == 3


def test_first_party_dists_may_come_from_anywhere(make_target: MakeTarget, data: Path) -> None:
    lock = parse_uv_lock((data / "locks" / "workspace" / "uv.lock").read_text(), "uv.lock")
    root, target = dist_name("shop-api"), make_target("3.12", "x86_64")

    with pytest.raises(LockError) as caught:
        select(lock, root, target)
    assert [problem.what for problem in caught.value.problems] == [
        "shop-api has no version in the lock",
        "shop-core 1.2.0 comes from a checkout (packages/core)",
    ]
    found = select(lock, root, target, root_version=Version("3"), first_party=frozenset({dist_name("shop-core")}))
    assert found.by_name()[root].version == Version("3")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("local", "helper 1.0 comes from a path on the machine that locked (helper)"),
        ("checkout", "tool 1.0 comes from a checkout (tool)"),
        ("nightly", "attrs 25.4.0 comes from a git repository (https://github.com/python-attrs/attrs"),
        ("direct", "iniconfig 2.3.0 comes from a URL outside any index"),
    ],
)
def test_a_real_lock_with_other_sources(make_target: MakeTarget, data: Path, extra: str, message: str) -> None:
    text = (data / "locks" / "sources" / "uv.lock").read_text()
    lock = parse_uv_lock(text, "uv.lock")
    target, root = make_target("3.12", "x86_64"), dist_name("from-elsewhere")

    with pytest.raises(LockError) as caught:
        select(lock, root, target, frozenset({dist_name(extra)}))

    name, version, *_ = message.split()
    assert str(caught.value).startswith(f"uv.lock:{line_of(text, name, version)}: {message}")

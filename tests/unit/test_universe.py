"""What is told of a universe's run, and which checkouts belong to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elpack.config import FirstParty
from elpack.errors import LockError
from elpack.lineage import Member
from elpack.model import LockedDist, RemoteFile, Sha256, SourceKind, UvLock
from elpack.naming import dist_name
from elpack.report.universe import universe_parts
from elpack.steps.closure import Sources
from elpack.steps.sdists import members_of
from elpack.universe import Carrier, Outcome, Universe
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

LIB = dist_name("lib")
MEMBER = Member(LIB, "1.0", "checkout ../lib", "lib-1.0.tar.gz", "digest")


def test_a_run_that_made_nothing_has_no_table_of_what_was_made() -> None:
    universe = Universe((MEMBER,), skipped={Carrier.IMAGE: "elpack.toml has no [images]"})
    assert list(universe_parts(universe)) == ["image: skipped, because elpack.toml has no [images]"]
    universe.outcomes["sdists"] = {"lib": Outcome(0, 1, "not changed")}
    table, lines = universe_parts(universe)
    assert not isinstance(table, str)
    assert isinstance(lines, str)
    assert lines.endswith("nothing to do: nothing changed")


def test_a_checkout_of_a_version_that_the_lock_has_not_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    locked = LockedDist(LIB, Version("1.0"), SourceKind.REGISTRY, "https://pypi.org/simple", 1)
    lock = UvLock("uv.lock", 1, 3, SpecifierSet(), (locked,))
    file = RemoteFile("lib-2.0.tar.gz", "", Sha256("0" * 64))
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    sources = Sources(lock, {LIB: file}, {file.sha256: workspace.work / "sdists/lib-2.0.tar.gz"}, ())
    release = SimpleNamespace(first_party=(FirstParty(LIB, path="../lib"),), application=SimpleNamespace(name="app"))
    with pytest.raises(LockError) as caught:
        members_of(cast("Any", SimpleNamespace(release=release)), sources, cast("Any", None), workspace)
    (problem,) = caught.value.problems
    assert problem.what == "checkout ../lib is of version 2.0, and the application's lock has 1.0"
    assert problem.fix == "lock again in app, or check out 1.0"

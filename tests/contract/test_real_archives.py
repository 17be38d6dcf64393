"""The six WAMP sdists as PyPI has them: what the plan is built on must be read from them rightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.archives import extract_sdist, read_sdist, sdist_member
from elpack.model import Sha256

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.model import SdistFacts

_CFFI = "It compiles CFFI modules (build requirement cffi)."
_FLATC = {"autobahn": "autobahn._flatc:main", "zlmdb": "zlmdb._flatc:main"}
EXPECTED: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "txaio": ("", ("txaio",), {}),
    "autobahn": (_CFFI, ("autobahn", "twisted"), {"flatc": _FLATC["autobahn"], "wamp": "autobahn.__main__:_main"}),
    "zlmdb": (_CFFI, ("zlmdb",), {"flatc": _FLATC["zlmdb"], "zlmdb": "zlmdb.cli:main"}),
    "cfxdb": ("", ("cfxdb",), {}),
    "xbr": ("", ("xbr",), {}),
    "crossbar": ("", ("crossbar",), {"crossbar": "crossbar:run"}),
}


def facts_of(sdists: dict[str, Path], name: str) -> SdistFacts:
    return read_sdist(sdists[name], Sha256("0" * 64))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_plan_gets_the_right_facts(wamp_sdists: dict[str, Path], name: str) -> None:
    facts = facts_of(wamp_sdists, name)
    native, modules, scripts = EXPECTED[name]
    assert facts.native == native
    assert facts.modules == modules
    assert {script.name: script.value for script in facts.scripts} == scripts
    assert facts.backend == "hatchling.build"
    assert facts.build_requires[0] == "hatchling"
    assert facts.metadata.name == name
    assert f"{facts.folder}.tar.gz" == wamp_sdists[name].name
    assert facts.has_uv_lock == (name == "crossbar")
    assert "LICENSE" in facts.licence_files
    assert facts.readme_files == ("README.md",)


def test_licences_are_read(wamp_sdists: dict[str, Path]) -> None:
    found = {name: facts_of(wamp_sdists, name).metadata.licence_expression for name in EXPECTED}
    assert found == dict.fromkeys(EXPECTED, "MIT") | {"crossbar": "EUPL-1.2"}
    assert facts_of(wamp_sdists, "zlmdb").licence_files == ("LICENSE", "NOTICE")


def test_crossbars_lock_is_in_its_sdist(wamp_sdists: dict[str, Path]) -> None:
    assert sdist_member(wamp_sdists["crossbar"], "uv.lock").startswith(b"version = 1\n")


def test_links_of_a_real_sdist_survive_unpacking(wamp_sdists: dict[str, Path], tmp_path: Path) -> None:
    top = extract_sdist(wamp_sdists["txaio"], tmp_path)
    assert (top / "docs/OVERVIEW.md").readlink().as_posix() == "../OVERVIEW.md"
    assert (top / "src/txaio/__init__.py").stat().st_mode & 0o777 == 0o644


def test_compilers_are_inferred(wamp_sdists: dict[str, Path]) -> None:
    found = {name: [tool.name for tool in facts_of(wamp_sdists, name).tools] for name in wamp_sdists}
    assert found.pop("zlmdb") == ["c", "cmake", "make", "c++"]
    assert found.pop("autobahn") == ["c"], "its hook asks for cmake, and goes on without what only a checkout has"
    assert not any(found.values())

"""An sdist held against what its repository tracks: small repositories, and names that are hostile."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from elpack.errors import ConfigError
from elpack.run import run
from elpack.steps.wheels.completeness import checkouts_of, tracked_files
from elpack.wheels.sdist_files import Lack, Tracked, compare_files
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROJECT = """
[project]
name = "Demo.Dist"
[tool.hatch.build.targets.sdist]
exclude = ["/docs", "*.log"]
[tool.hatch.build.targets.wheel]
packages = ["src/demo"]
[tool.pytest.ini_options]
testpaths = ["tests"]
"""
FILES = ("pyproject.toml", "LICENSE", "src/demo/__init__.py", "tests/test_a.py", "docs/index.md", "x.log", "notes.txt")


@pytest.fixture
def tree(tmp_path: Path, needs: Callable[..., None]) -> Path:
    """A repository with some files, all of them tracked."""
    needs("git")
    tree = tmp_path / "demo"
    for name in FILES:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROJECT if name == "pyproject.toml" else "")
    git(tree, "init", "--quiet")
    git(tree, "add", "--force", ".")
    return tree


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(tree), *arguments], check=True)


def lacks(tracked: Tracked, *gone: str, more: tuple[str, ...] = ()) -> dict[Lack, set[str]]:
    found: dict[Lack, set[str]] = {}
    for one in compare_files(tracked, {*(tracked.files - set(gone)), "PKG-INFO", *more}):
        found.setdefault(one.lack, set()).update(one.paths)
    return found


def test_a_complete_one(tree: Path) -> None:
    tracked = tracked_files(tree, run)
    assert tracked.files == set(FILES)
    assert lacks(tracked) == {}


def test_what_the_configuration_leaves_out_is_told_apart(tree: Path) -> None:
    (tree / ".gitattributes").write_text("LICENSE export-ignore=\nnotes.txt export-ignore\n")
    found = lacks(tracked_files(tree, run), "docs/index.md", "x.log", "notes.txt")
    assert found == {Lack.EXCLUDED: {"docs/index.md", "x.log", "notes.txt"}}


@pytest.mark.parametrize("name", ["src/demo/__init__.py", "LICENSE", "tests/test_a.py", "pyproject.toml"])
def test_what_it_cannot_do_without(tree: Path, name: str) -> None:
    assert lacks(tracked_files(tree, run), name) == {Lack.NEEDED: {name}}


def test_a_source_that_the_configuration_leaves_out_is_an_error_still(tree: Path) -> None:
    (tree / "src/demo/x.log").write_text("")
    (tree / "src/demo/extra.py").write_text("")
    text = PROJECT.replace('"*.log"', '"*.log", "extra.py"')
    (tree / "pyproject.toml").write_text(text)
    git(tree, "add", "--force", ".")
    found = lacks(tracked_files(tree, run), "src/demo/extra.py", "src/demo/x.log")
    assert found == {Lack.NEEDED: {"src/demo/extra.py"}, Lack.EXCLUDED: {"src/demo/x.log"}}


def test_tracked_and_ignored_at_once(tree: Path) -> None:
    (tree / ".gitignore").write_text("__init__.py\nnotes.txt\n")
    differences = compare_files(
        tracked := tracked_files(tree, run), tracked.files - {"src/demo/__init__.py", "notes.txt"}
    )
    assert {(one.lack, one.paths) for one in differences} == {
        (Lack.NEEDED, ("src/demo/__init__.py",)),
        (Lack.MISSING, ("notes.txt",)),
    }
    assert all(".gitignore" in one.why for one in differences)


def test_files_that_nobody_tracks(tree: Path) -> None:
    found = lacks(tracked_files(tree, run), more=("secret.env", "demo.egg-info/SOURCES.txt", "setup.cfg"))
    assert found == {Lack.UNTRACKED: {"secret.env"}}


def test_only_what_is_included(tree: Path) -> None:
    (tree / "pyproject.toml").write_text(
        PROJECT.replace('exclude = ["/docs", "*.log"]', 'include = ["/src", "/tests"]')
    )
    found = lacks(tracked_files(tree, run), "docs/index.md", "notes.txt", "x.log", "LICENSE")
    assert found == {Lack.EXCLUDED: {"docs/index.md", "notes.txt", "x.log"}, Lack.NEEDED: {"LICENSE"}}


def test_submodules(tree: Path) -> None:
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},deps/lib")
    tracked = tracked_files(tree, run)
    assert lacks(tracked) == {Lack.SUBMODULE: {"deps/lib"}}
    assert lacks(tracked, more=("deps/lib/a.c",)) == {}


@pytest.mark.parametrize(
    "name", ["-rf", "a\nb.txt", "ü ñ.txt", "$(touch gone)", "\x1b[2J", 'q"uote', ":(glob)x", "a\tb"]
)
def test_hostile_names(tree: Path, name: str) -> None:
    (tree / name).write_text("")
    git(tree, "add", "--force", "--all", ".")
    tracked = tracked_files(tree, run)
    assert name in tracked.files
    assert lacks(tracked, name) == {Lack.MISSING: {name}}


def test_a_checkout_s_own_settings_start_nothing(tree: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    (tree / ".git/hooks/post-index-change").write_text(trap.read_text())
    (tree / ".git/hooks/post-index-change").chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(trap))
    assert tracked_files(tree, run).files == set(FILES)
    assert not (tmp_path / "sprung").exists()


def test_patterns_with_line_ends_are_no_patterns(tree: Path) -> None:
    (tree / "pyproject.toml").write_text(PROJECT.replace('"*.log"', '"a\\n*"'))
    assert "LICENSE" not in tracked_files(tree, run).excluded


def test_checkouts_that_are_given(tree: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / "work", tmp_path / "dist")
    assert set(checkouts_of(workspace, (tree,), run)) == {"demo-dist"}
    with pytest.raises(ConfigError, match="no git repository with"):
        checkouts_of(workspace, (tmp_path,), run)

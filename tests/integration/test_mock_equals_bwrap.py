"""The two builders make the same: txaio (pure) and zlmdb (CFFI, and a C++ tool by cmake) from the real plan.

mock is the one tool that may be absent, in CI too: outside Fedora and EL no distribution packages it.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.integration.wamp import PROJECT

from elpack.builders.choose import choose_builder, mock_host
from elpack.pipeline import carry_out
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.steps.sides import build_of
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from elpack.builders import Builder, Built
    from elpack.plan.model import NodeId
    from elpack.steps.build import Build
    from elpack.steps.results import Result

pytestmark = [pytest.mark.root, pytest.mark.integration]

FILES = r"[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMTIMES} %{FILEDIGESTS}\n]"
REQUIRES = r"[%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\n]"
PROVIDES = r"[%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}\n]"


@pytest.fixture(scope="module")
def session(
    needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Session:
    """Return a run over the release, which the main job has built, with the target's base made."""
    obstacle = mock_host(os.environ).obstacle
    if obstacle:
        pytest.skip(f"{obstacle}, so there is nothing to compare the bwrap builder with")
    needs("mount")
    request.getfixturevalue("rpm_all")
    workspace = Workspace(PROJECT / "elpack.toml", PROJECT / ".elpack", tmp_path_factory.mktemp("dist"))
    options = Options(target="el9-standin", builder="bwrap")
    session = Session(workspace, options, Terminal(Console(file=io.StringIO()), quiet=True))
    carry_out(session, "base")
    return session


@pytest.fixture(scope="module")
def bwrap(session: Session) -> tuple[Build, dict[NodeId, Result]]:
    """Build with the bwrap builder, or take from the store what it built before."""
    wanted = [package.node for package in session.plan.published() if package.dist in {"txaio", "zlmdb"}]
    build = build_of([session], {session.target.arch: wanted}).build
    return build, build.run()


def mock_builder(session: Session) -> Builder:
    assert session.plan is not None
    assert session.base is not None
    target, repositories, work = session.plan.target, session.base.repositories, session.workspace.work
    return choose_builder("mock", target, repositories, work, environ=os.environ).builder


def ask(format_: str, rpm: Path) -> str:
    """Return what rpm says about a package file."""
    command = ("rpm", "--query", "--package", "--nosignature", "--queryformat", format_, str(rpm))
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def digests(paths: Iterable[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("name", ["txaio", "zlmdb"])
def test_mock_and_bwrap_make_the_same_packages(
    session: Session, bwrap: tuple[Build, dict[NodeId, Result]], name: str, tmp_path: Path
) -> None:
    build, results = bwrap
    package = next(package for package in session.plan.published() if package.dist == name)
    inside = build.roots[package.node]
    builder = replace(mock_builder(session), extra=(build._repository(inside, tmp_path),))  # type: ignore[type-var]
    built: Built
    (built,) = builder.build((build._job(package, tmp_path),), tmp_path / "out")
    theirs, ours = (built.srpm, *built.rpms), (results[package.node].srpm, *results[package.node].rpms)
    assert sorted(path.name for path in theirs) == sorted(path.name for path in ours)
    for their, our in zip(sorted(theirs, key=lambda p: p.name), sorted(ours, key=lambda p: p.name), strict=True):
        # first what tells most about a difference
        for question in (FILES, REQUIRES, PROVIDES):
            assert ask(question, their).splitlines() == ask(question, our).splitlines()
    assert digests(theirs) == digests(ours)

"""`elpack export` on the real release: the files that uv itself exports, read by uv, the same each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv
from packaging.pylock import Package, Pylock
from typer.testing import CliRunner

from elpack.cli import app
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from typer.testing import Result

ROOT = Path(__file__).parents[2]
OURS = {"txaio", "autobahn", "zlmdb", "cfxdb", "xbr", "crossbar"}
TARGETS = [("el9", "3.12", "x86_64"), ("el9", "3.12", "aarch64"), ("el9-standin", "3.11", "x86_64")]


@pytest.fixture(scope="module")
def project(wamp_sdists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with the release file, its assets, and crossbar's sdist fetched already."""
    home = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "elpack.toml", home)
    shutil.copytree(ROOT / "specs", home / "specs")
    (home / ".elpack" / "downloads").mkdir(parents=True)
    shutil.copy(wamp_sdists["crossbar"], home / ".elpack" / "downloads")
    return home


def export(project: Path, output: Path, target: str, arch: str, *more: str) -> Result:
    arguments = ["export", "--file", str(project / "elpack.toml"), "--target", target, "--arch", arch, "--offline"]
    return CliRunner().invoke(app, [*arguments, "--output", str(output), *more])


def uv_run(home: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [uv.find_uv_bin(), *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def exported_by_uv(wamp_sdists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Pylock:
    home = tmp_path_factory.mktemp("crossbar")
    subprocess.run(("tar", "--extract", "--file", wamp_sdists["crossbar"], "--directory", home), check=True)
    (tree,) = home.iterdir()
    options = ("--frozen", "--offline", "--no-config", "--no-python-downloads", "--no-dev", "--no-emit-project")
    text = uv_run(home, "export", *options, "--format", "pylock.toml", "--project", str(tree))
    return Pylock.from_dict(tomllib.loads(text[text.index("lock-version") :].partition("\nResolved ")[0]))


def files(package: Package) -> set[tuple[str | None, str]]:
    return {(file.url, file.hashes["sha256"]) for file in (package.sdist, *(package.wheels or ())) if file}


@pytest.mark.parametrize("target", TARGETS, ids=" ".join)
def test_it_names_the_files_that_uv_exports(
    target: tuple[str, str, str], project: Path, exported_by_uv: Pylock, tmp_path: Path
) -> None:
    name, python, arch = target
    assert export(project, tmp_path / "pylock.toml", name, arch).exit_code == 0
    lock = Pylock.from_dict(tomllib.loads((tmp_path / "pylock.toml").read_text()))
    assert len(lock.packages) == 142
    environment = {**resolve_target(TargetChoice(name, python, (arch,)), arch).marker_environment()}
    theirs = {
        package.name: package
        for package in exported_by_uv.packages
        if package.marker is None or package.marker.evaluate(environment, "lock_file")
    }
    ours = {package.name: package for package in lock.packages}
    assert ours.keys() - theirs.keys() == {"crossbar"}
    assert theirs.keys() <= ours.keys()
    for package in theirs.values():
        mine = files(ours[package.name])
        if package.name in OURS:
            assert mine == {(package.sdist.url, package.sdist.hashes["sha256"])} if package.sdist else set()
        else:
            # uv leaves out the wheels that no environment of its own lock can use
            assert files(package) <= mine


def test_uv_reads_it(project: Path, tmp_path: Path) -> None:
    assert export(project, tmp_path / "pylock.toml", "el9-standin", "x86_64").exit_code == 0
    uv_run(tmp_path, "venv", "--offline", "--no-config", "--python", "3.11", "--no-python-downloads", "venv")
    options = ("--dry-run", "--offline", "--no-config", "--python", "venv/bin/python", "--require-hashes")
    said = uv_run(tmp_path, "pip", "install", *options, "-r", "pylock.toml")
    assert len([line for line in said.splitlines() if line.startswith(" + ")]) == 142
    assert " + crossbar==26.10.1" in said


def test_the_same_each_time_and_drift_is_found(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "pylock.toml"
    assert export(project, output, "el9", "x86_64", "--check").exit_code == 11, "it is not there"
    assert export(project, output, "el9", "x86_64").exit_code == 0
    before = output.read_bytes()
    assert export(project, output, "el9", "x86_64", "--check").exit_code == 0
    assert export(project, output, "el9", "x86_64").exit_code == 0
    assert output.read_bytes() == before
    output.write_bytes(before.replace(b'version = "3.13.2"', b'version = "3.13.3"'))
    assert export(project, output, "el9", "x86_64", "--check").exit_code == 11

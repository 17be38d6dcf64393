"""A small universe: an application and two libraries in checkouts beside each other, and one that is not there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.warm import link_trees

REPOSITORY = Path(__file__).parents[2]
WARM = Path(os.environ.get("ELPACK_FAULTS_WARM", REPOSITORY / ".elpack"))
"""A work folder that earlier runs filled. The stand-in, a base root of it and what every build needs are not made twice
for a test; the last of these has to be of the same name and packager, and is made here where it is not there."""

TARGET = ("--target", "el9-standin", "--builder", "bwrap")
NEEDS = {"base": (), "lib": ("base",), "ghost": (), "app": ("ghost", "lib")}
RELEASE = """\
[release]
name = "crossbar"
date = 2026-11-20
packager = "Crossbar.io packagers <packaging@crossbar.io>"

[application]
name = "app"
lock = "uv.lock"

[first-party]
app = { path = "../app" }
base = { path = "../base" }
ghost = { path = "../ghost" }
lib = { path = "../lib" }

[wheels]
packages = ["lib"]

[targets.el9-standin]
python = "3.11"
arches = ["x86_64"]
"""
BACKEND = '''\
"""A build backend without requirements."""

import io, tarfile, tomllib, zipfile
from pathlib import Path


def about():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    lines = ["Metadata-Version: 2.4", f"Name: {project['name']}", "Version: 1.0", "License-Expression: MIT"]
    lines += [f"Requires-Dist: {text}" for text in project["dependencies"]]
    lines += ["Summary: A trial", "License-File: LICENSE", "Description-Content-Type: text/plain", "", "For tests."]
    return project["name"], "".join(f"{line}\\n" for line in lines)


def build_wheel(folder, _settings=None, _metadata=None):
    name, metadata = about()
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": Path(f"{name}.py").read_text(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/licenses/LICENSE": Path("LICENSE").read_text(),
    }
    record = "".join(f"{path},,\\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(Path(folder) / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in (*files.items(), (f"{info}/RECORD", record)):
            wheel.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return f"{name}-1.0-py3-none-any.whl"


def build_sdist(folder, _settings=None):
    name, metadata = about()
    with tarfile.open(Path(folder) / f"{name}-1.0.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in ("LICENSE", "backend.py", "pyproject.toml", f"{name}.py"):
            archive.add(path, f"{name}-1.0/{path}")
        member = tarfile.TarInfo(f"{name}-1.0/PKG-INFO")
        member.size = len(metadata)
        archive.addfile(member, io.BytesIO(metadata.encode()))
    return f"{name}-1.0.tar.gz"
'''


@dataclass(frozen=True)
class Cosmos:
    """A folder with the checkouts, and the release beside them."""

    folder: Path

    @property
    def release(self) -> Path:
        return self.folder / "release"

    @property
    def dist(self) -> Path:
        return self.release / "dist-universe"

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command line beside the release file."""
        command = (sys.executable, "-m", "elpack", *arguments)
        done = subprocess.run(command, cwd=self.release, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr[-6000:]
        return done

    def universe(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Make all carriers, and return why each was made, by place and package."""
        done = self.run("universe", *TARGET, "--json", *arguments)
        results = json.loads(done.stdout)["results"]
        return {place: {name: one["why"] for name, one in found.items()} for place, found in results.items()}

    def built(self) -> list[str]:
        """Return the names that the store's journal says were built, in that order."""
        lines = (self.release / ".elpack" / "store" / "journal.jsonl").read_text().splitlines()
        return [event["name"] for event in map(json.loads, lines) if event["event"] == "built"]

    def content(self) -> dict[str, str]:
        """Return the digest of each file of the results, but logs."""
        files = (path for path in sorted(self.dist.rglob("*")) if path.is_file())
        found = {str(path.relative_to(self.dist)): path for path in files}
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in found.items()
            if "/logs/" not in f"/{name}" and not path.name.startswith(".")
        }


def cosmos(folder: Path) -> Cosmos:
    """Write the checkouts and the release. ghost has no checkout: its sdist is where an earlier run had fetched it."""
    made = Cosmos(folder)
    for name in NEEDS:
        _checkout(folder / name, name)
    ghost = _packed(folder / "ghost")
    shutil.rmtree(folder / "ghost")
    downloads = made.release / ".elpack" / "downloads"
    link_trees(WARM, made.release / ".elpack", ("standin", "downloads"))
    downloads.mkdir(parents=True, exist_ok=True)
    (downloads / "ghost-1.0.tar.gz").write_bytes(ghost)
    (made.release / "elpack.toml").write_text(RELEASE)
    (folder / "app" / "uv.lock").write_text(_lock(hashlib.sha256(ghost).hexdigest()))
    # only the finished ones: another run may be making one
    for record in (WARM / "bwrap" / "bases").glob("*.sha256"):
        _link(record.with_suffix(""), made.release / ".elpack" / "bwrap" / "bases")
        _link(record, made.release / ".elpack" / "bwrap" / "bases")
    for entry in (WARM / "store").glob("??/" + "?" * 64):
        _link(entry, made.release / ".elpack" / "store" / entry.parent.name)
    return made


def _link(source: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(("cp", "-aln", str(source), str(into)), check=True)


def _checkout(tree: Path, name: str) -> None:
    tree.mkdir(parents=True)
    needs = json.dumps(list(NEEDS[name]))
    (tree / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\nlicense = "MIT"\ndependencies = {needs}\n'
    )
    (tree / "backend.py").write_text(BACKEND)
    (tree / "LICENSE").write_text("MIT License\n")
    (tree / f"{name}.py").write_text("".join(f"import {need}\n" for need in NEEDS[name]))


def _packed(tree: Path) -> bytes:
    """Return the sdist of a checkout, as its own backend would write it."""
    out = io.BytesIO()
    metadata = b"Metadata-Version: 2.4\nName: ghost\nVersion: 1.0\nLicense-Expression: MIT\nSummary: A trial\n"
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path in sorted(tree.iterdir()):
            archive.add(path, f"ghost-1.0/{path.name}")
        member = tarfile.TarInfo("ghost-1.0/PKG-INFO")
        member.size = len(metadata)
        archive.addfile(member, io.BytesIO(metadata))
    return out.getvalue()


def _lock(ghost: str) -> str:
    text = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
    for name, needs in NEEDS.items():
        source = '{ editable = "." }' if name == "app" else '{ registry = "https://pypi.org/simple" }'
        names = ", ".join(f'{{ name = "{need}" }}' for need in needs)
        text += f'\n[[package]]\nname = "{name}"\nversion = "1.0"\nsource = {source}\ndependencies = [{names}]\n'
        if name == "app":
            text += f"\n[package.metadata]\nrequires-dist = [{names}]\n"
        else:
            digest = ghost if name == "ghost" else "0" * 64
            url = f"https://files.pythonhosted.org/{name}-1.0.tar.gz"
            text += f'sdist = {{ url = "{url}", hash = "sha256:{digest}" }}\n'
    return text

"""A second build: the real release gives the same again, and a build that embeds where and when it ran is found out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.integration.wamp import DISTS, OUTPUT, REPOSITORY, STANDIN, TOOLS, ask, elpack
from tests.warm import link_trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.wamp import Run

pytestmark = [pytest.mark.root]

FEW = ("txaio", "xbr", "bjdata", "cffi", "idna")
"""Pure and compiled, from sdist and from wheel; quick to build."""

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "leaky"
version = "1.0"
description = "Embeds all that it can see"
license = "MIT"
requires-python = ">=3.11"
"""

# What each trace is called; the wheel has a file of that name with what the build saw.
BACKEND = """\
import base64, getpass, hashlib, io, os, socket, sys, tarfile, time, zipfile

NAME = "leaky-1.0"
METADATA = "Metadata-Version: 2.4\\nName: leaky\\nVersion: 1.0\\nSummary: Embeds all that it can see\\n" \\
    "License-Expression: MIT\\nLicense-File: LICENSE\\nRequires-Python: >=3.11\\n"


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return oct(mask)


def traces():
    return {
        "clock": time.strftime("%Y"),
        "processors": len(os.sched_getaffinity(0)),
        "host-name": socket.gethostname(),
        "umask": umask(),
        "hash-seed": list({"a", "b", "c", "d", "e", "f", "g", "h"}),
        "locale": [os.environ.get(name) for name in ("LANG", "LC_ALL", "LANGUAGE")],
        "path": os.getcwd(),
        "time-zone": time.tzname,
        "home": os.path.expanduser("~"),
        "user": (os.getuid() != 0, getpass.getuser()),
        "environment": sorted(name for name in os.environ if name != "LD_PRELOAD"),
    }


def build_sdist(directory, config_settings=None):
    files = {name: open(name, "rb").read() for name in ("pyproject.toml", "backend.py", "LICENSE")}
    files["PKG-INFO"] = METADATA.encode()
    with tarfile.open(os.path.join(directory, NAME + ".tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{NAME}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return NAME + ".tar.gz"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    files = {f"leaky/{name}.txt": f"{value}\\n".encode() for name, value in traces().items()}
    info = f"{NAME}.dist-info"
    files |= {
        "leaky/__init__.py": b"",
        f"{info}/METADATA": METADATA.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\\nGenerator: leaky\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/licenses/LICENSE": b"MIT\\n",
    }
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\\n".encode()
    with zipfile.ZipFile(os.path.join(directory, NAME + "-py3-none-any.whl"), "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return NAME + "-py3-none-any.whl"
"""
CHANGES = {"clock", "processors"}
"""What the sandbox cannot make constant. Every other trace must be the same, whoever builds wherever."""


@pytest.mark.integration
def test_a_few_dists_are_the_same_again(rpm_all: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in OUTPUT.rglob("*") if "logs" not in path.parts}
    done = elpack("verify", "--rebuild", *FEW, *STANDIN, "--json")
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    found = json.loads(done.stdout)
    assert found["differences"] == []
    # cffi is a build requirement as well
    assert found["built"] == len(FEW) + 1
    assert found["kinds"]["rpm"] == found["kinds"]["srpm"] == DISTS + 1
    assert {"clock inside the builds", "umask", "workers", "host name", "time zone"} <= found["varied"].keys()
    assert {path: path.stat().st_mtime_ns for path in OUTPUT.rglob("*") if "logs" not in path.parts} == before


@pytest.mark.integration
def test_what_was_handed_over_is_what_the_manifest_says(rpm_all: Run) -> None:
    done = elpack("verify", *STANDIN)
    assert done.returncode == 0, done.stderr
    assert "files are what the manifest says" in done.stdout
    assert "THROWAWAY key" in done.stdout


@pytest.mark.rebuild
def test_all_of_it_is_the_same_again(rpm_all: Run, tmp_path: Path) -> None:
    for layout in ("stack", "bundle", "system"):
        done = elpack("verify", "--rebuild", *STANDIN, "--layout", layout)
        print(done.stdout)  # noqa: T201 - the figures are what this lane is for
        assert done.returncode == 0, done.stdout + done.stderr[-6000:]


@pytest.mark.integration
def test_a_build_that_embeds_where_and_when_it_ran_is_found_out(needs: Callable[..., None], tmp_path: Path) -> None:
    needs(*TOOLS, "cc", "taskset")
    project = tmp_path / "leaky"
    (project / ".elpack").mkdir(parents=True)
    link_trees(REPOSITORY / ".elpack", project / ".elpack", ("standin", "downloads"))
    for name, text in {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "LICENSE": "MIT\n"}.items():
        (project / name).write_text(text)
    run(project, "init")
    run(project, "rpm", *STANDIN)
    done = run(project, "verify", "--rebuild", "leaky", *STANDIN, "--json", code=28)
    differing = {one["name"]: one for one in json.loads(done.stdout)["differences"]}
    (name,) = [name for name, one in differing.items() if one["kind"] == "rpm"]
    # its source package is made of what was there before the build, and is the same
    assert {one["kind"] for one in differing.values()} == {"rpm", "repodata", "manifest"} | (
        {"sbom", "provenance"} & {one["kind"] for one in differing.values()}
    )
    first, second = (
        _files(next((project / ".elpack" / "rebuild").glob(f"*/{side}/el9-standin/*/{name}")))
        for side in ("first", "second")
    )
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} == CHANGES
    assert re.search(r"why: in it differ \S+/leaky/clock\.txt, \S+/leaky/processors\.txt\n", done.stderr)
    if shutil.which("diffoscope"):
        assert "logs/rebuild/" in done.stderr
    else:
        assert "install diffoscope" in done.stderr


def _files(rpm: Path) -> dict[str, str]:
    """Return mode, owner, time and digest of each file of an RPM, by the end of its name."""
    form = "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEMTIMES}|%{FILEDIGESTS}\\n]"
    lines = (line.partition("|") for line in ask(form, [rpm]))
    return {name.rpartition("/")[2].removesuffix(".txt"): rest for name, _, rest in lines}


def run(project: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "elpack", *arguments)
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr[-6000:]
    return done

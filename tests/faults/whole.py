"""What must hold however a run ended: results are whole, and nothing that runs or is mounted is left."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import VerifyError
from elpack.listed import PACKAGES
from elpack.manifest import deviations, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.project import Project


def whole(output: Path) -> dict[str, str]:
    """Return the digests before signing of what is handed over, after holding every file against the manifest.

    Results that are not there are whole; anything else without a manifest, with a file too many or one that is not
    what the manifest says, is half a release.
    """
    if not output.exists() or {path.name for path in output.iterdir()} <= {"logs"}:
        return {}
    assert (output / "manifest.json").exists(), f"{output} holds results without a manifest"
    manifest = read_manifest(output, VerifyError)
    assert not [*deviations(output, manifest)]
    return {f"{file.kind} {file.name}": file.built.sha256 for file in manifest.files if file.kind in PACKAGES}


def index_agrees(project: Project) -> None:
    """Hold dist/manifest.json, if it is there, against the manifests that it quotes."""
    if (project.dist / "manifest.json").exists():
        for name, quoted in json.loads((project.dist / "manifest.json").read_text())["targets"].items():
            assert quoted == json.loads((project.dist / name / "manifest.json").read_text())


def processes(folder: Path, seconds: float = 0) -> dict[int, str]:
    """Return the processes that have to do with a folder, after giving them some seconds to go."""
    end = time.monotonic() + seconds
    while (found := dict(_processes(str(folder)))) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _processes(folder: str) -> Iterator[tuple[int, str]]:
    for path in Path("/proc").iterdir():
        if not path.name.isdecimal() or int(path.name) == os.getpid():
            continue
        with suppress(OSError):
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            links = [path / "cwd", path / "root", *(path / "fd").iterdir()]
            if folder in command or any(folder in str(link.readlink()) for link in links if link.is_symlink()):
                yield int(path.name), command[:200]


def leftovers(project: Project) -> list[str]:
    """Return what a run should have taken away and did not."""
    text = str(project.folder)
    found = [f"process {pid}: {command}" for pid, command in processes(project.folder, 3).items()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount: {line.split()[4]}" for line in mounts if line.split()[4].startswith(f"{text}/.elpack/")]
    loops = subprocess.run(("losetup", "--list", "--noheadings"), capture_output=True, text=True, check=False).stdout
    found += [f"loop device: {line}" for line in loops.splitlines() if f"{text}/" in line]
    work = project.work
    scratch = (
        *work.glob("*/live/*"),
        *work.glob("building/*"),
        *work.glob("lock/*"),
        *work.glob("store/staging/*"),
        *work.glob("standin/.part-*"),
        *work.glob("standin/*/.part-*"),
        *work.glob(".removed-*"),
        *work.rglob("*.new"),
        *project.dist.rglob(".*.new"),
        *project.dist.rglob(".*.old"),
    )
    found += [f"file: {path.relative_to(project.folder)}" for path in scratch]
    if (work / "run.lock").exists():
        with (work / "run.lock").open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append("the lock is held")
    return found


def groups(project: Project) -> list[Path]:
    """Return the control groups that builds under way wrote down."""
    found = []
    for record in (path for path in project.work.glob("*/live/*") if path.is_file()):
        with suppress(OSError):
            found += [Path(line) for line in record.read_text().splitlines() if line.startswith("/sys/fs/cgroup/")]
    return found

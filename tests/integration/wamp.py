"""What the tests of the real WAMP release share: the command line, what it left, and a look into installed roots."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).parents[2]
FIRST = "gw0"
"""What pytest-xdist calls its first worker."""


def project_of(worker: str) -> Path:
    """Return the folder in which a worker has the release: this checkout, or a copy for each further worker.

    One run at a time works on a project, and tests look at what it left; so no worker meets another one's runs.
    """
    return REPOSITORY if worker == FIRST else REPOSITORY / ".elpack" / "test-cache" / f"release-{worker}"


PROJECT = project_of(os.environ.get("PYTEST_XDIST_WORKER", FIRST))
OUTPUT = PROJECT / "dist" / "el9-standin" / "x86_64"
STANDIN = ("--target", "el9-standin", "--builder", "bwrap")
DISTS = 142
TOOLS = ("dnf", "bwrap", "mmdebstrap", "rpmbuild", "createrepo_c", "rpm")


@dataclass(frozen=True)
class Run:
    """What one `elpack rpm-all` said and left."""

    text: str
    manifest: dict[str, Any]

    def artefacts(self, kind: str) -> list[dict[str, Any]]:
        """Return the manifest's entries of a kind."""
        return [entry for entry in self.manifest["artefacts"] if entry["kind"] == kind]


def elpack(*arguments: str, project: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = (sys.executable, "-m", "elpack", *arguments)
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def rpms(folder: Path = OUTPUT / "repo") -> list[Path]:
    """Return the RPMs of a repository."""
    return sorted(folder.glob("*.rpm"))


def ask(form: str, paths: Sequence[Path]) -> list[str]:
    """Return the lines that rpm prints of package files by a query format."""
    command = ("rpm", "--query", "--package", "--nosignature", "--queryformat", form, *map(str, paths))
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def in_root(root: Path, *arguments: str, ok: bool = True, env: Mapping[str, str] | None = None) -> str:
    """Run a command in a root, without network, and return what it said; `ok`: a failure of it is one of the test."""
    # no user namespace: it would know root alone, and so nobody that files belong to
    apart = ("--unshare-net", "--unshare-pid", "--unshare-ipc", "--cap-add", "ALL")
    command = ("bwrap", "--bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", *apart, *arguments)
    # the stand-in ships Python's own modules without bytecode, which root would leave in the root
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0 or not ok, done.stdout + done.stderr
    return done.stdout

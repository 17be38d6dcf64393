"""What is Rust, for PyPy: compiled in the sandbox by Debian's cargo from Debian's crates, since no lock pins others."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import BuildError, Problem
from elpack.fetch.files import fetch_all
from elpack.images import uv
from elpack.images.crates import MIRROR, REGISTRY, cargo_config, crates, with_versions
from elpack.intact import is_intact, remember
from elpack.run import Command
from elpack.store.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from elpack.images.model import RustDist
    from elpack.session import Session
    from elpack.steps.images.uv_sandbox import Task

_FORMAT = "1"
"""Raise it when what is Rust is compiled in another way than before."""
_CRATES, _CARGO = f"{uv.HOME}/crates", f"{uv.HOME}/cargo"
ENVIRONMENT = {"CARGO_HOME": _CARGO, "PATH": f"{uv.HOME}/env/bin:/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class Rust:
    """How one dist is compiled: from the crates in the folder `registry`."""

    dist: RustDist
    registry: Path

    def prepare(self, task: Task, source: Path) -> tuple[str, ...]:
        """Let a task's unpacked source take the crates; return what bubblewrap is told to show them.

        Raises `BuildError` where the source does not ask for what the release says that it asks for.
        """
        (task.folder / _CARGO.lstrip("/")).mkdir()
        (task.folder / _CARGO.lstrip("/") / "config.toml").write_text(cargo_config(_CRATES))
        take_crates(source, self.dist)
        return "--ro-bind", str(self.registry), _CRATES


def rust_of(session: Session, name: NormalizedName) -> RustDist | None:
    """Return what the release says of a dist that is Rust; None for all others, and for CPython."""
    images = session.project.release.images
    return images.pypy.rust_dist(name) if session.target.pypy and images else None


def rust_parts(dist: RustDist, root: str) -> Iterable[str]:
    """Yield the parts of a wheel's key that are there for Rust alone. root: the digest of the root that has cargo."""
    yield f"rust {_FORMAT}"
    yield from (f"{name} {version}" for name, version in sorted(dist.versions.items()))
    yield root
    yield from sorted(str(file.sha256) for file in crates())


def rust(dist: RustDist, session: Session) -> Rust:
    """Return how a dist is compiled, after providing the crates if no earlier run did. Raises what fetching raises."""
    return Rust(dist, _registry(session))


def take_crates(source: Path, dist: RustDist) -> None:
    """Take the pinned crates out of a source, and change the versions that it asks for. Raises `BuildError`."""
    for folder, _, files in os.walk(source):
        if "Cargo.lock" in files:
            Path(folder, "Cargo.lock").unlink()
    path = source / "Cargo.toml"
    try:
        text = with_versions(path.read_text(), dist.versions)
        # whatever the path was, it is a file of the source afterwards
        path.unlink()
        path.write_text(text)
    except (OSError, ValueError) as error:
        fix = "see [[images.pypy.rust]] in docs/reference/release-file.md"
        raise BuildError(Problem(f"{dist.dist} cannot take Debian's crates: {error}", source.name, fix=fix)) from error


def _registry(session: Session) -> Path:
    """Return the folder with the sources of all crates."""
    workspace = session.workspace
    files = crates(_mirror(os.environ))
    name = hashlib.sha256("\n".join(sorted(str(file.sha256) for file in files)).encode()).hexdigest()[:16]
    work = workspace.work / "pypy"
    work.mkdir(parents=True, exist_ok=True)
    folder = work / f"crates-{name}"
    with locked(work / "pypy.lock"):
        if not folder.exists() or not is_intact(folder):
            fetched = fetch_all(files, workspace.downloads, offline=session.options.offline)
            partial = folder.with_suffix(".partial")
            for old in (partial, folder):
                shutil.rmtree(old, ignore_errors=True)
            partial.mkdir()
            for digest in sorted(fetched):
                command = ("dpkg-deb", "--extract", str(fetched[digest]), str(partial))
                session.runner(Command(command)).check()
            remember(partial, folder)
            partial.rename(folder)
    return folder / REGISTRY


def _mirror(environment: Mapping[str, str]) -> str:
    """Return the mirror whose pool the crates are in: the user's, if it is one by HTTPS."""
    chosen = environment.get("ELPACK_DEBIAN_MIRROR", "")
    return chosen if chosen.startswith("https://") else MIRROR

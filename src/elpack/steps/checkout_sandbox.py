"""Makes the sdist of a checkout where its build backend sees the checkout, programs, and nothing else: no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack import strict
from elpack.archives.sdist import build_system
from elpack.errors import BuildError, FetchError, Problem
from elpack.steps.lock_sandbox import LockSandbox, read_requirements

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.archives.sdist import BuildSystem
    from elpack.run import Completed

_UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "operation timed out")

_FIRST_OF_1980 = "315532800"
"""Seconds since the epoch; zip archives know no earlier time."""

_GIT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
"""git may read a checkout that belongs to who called sudo."""


@dataclass(frozen=True, slots=True)
class CheckoutSandbox:
    """Makes sdists in `sandbox`. `cache` is uv's, for build requirements; no backend ever sees it."""

    sandbox: LockSandbox
    cache: Path
    index: str
    offline: bool = False

    def sdist(self, tree: Path, copy: Path, into: Path, where: str) -> Completed:
        """Let the backend of a checkout write its sdist into a folder; the result says how that ended.

        copy: a copy of the checkout, which takes its place. Raises `BuildError` when build requirements cannot be
        installed, `ArchiveError` for a pyproject.toml that names none, `FetchError` when the index cannot be reached.
        """
        system = _build_system(tree, where)
        folder = self.sandbox.folder()
        self.cache.mkdir(parents=True, exist_ok=True)
        self._uv(folder, where, "venv", "venv", "--python", self.sandbox.python)
        self._install(folder, system.requires, where)
        binds = (*_visible(tree, copy), "--ro-bind", str(folder), "/task")
        question = {"folder": str(tree), "backend": system.backend, "backend_path": system.path}
        result, answer = self.sandbox.ask_tree(binds, json.dumps({**question, "hook": "get_requires_for_build_sdist"}))
        if not answer:
            return result
        self._install(folder, read_requirements(answer, where), where)
        out = ("--bind", str(into), str(into))
        options = ("--sdist", "--no-build-isolation", "--offline", "--no-cache", "--python", "/task/venv/bin/python")
        return self.sandbox.uv_apart(
            folder, (*binds, *out, *_environment()), "build", *options, "--out-dir", str(into), str(tree)
        )

    def _install(self, folder: Path, requires: tuple[str, ...], where: str) -> None:
        """Install build requirements from wheels only: none of their code runs while the network is there."""
        if not requires:
            return
        (folder / "requirements").write_text("".join(f"{text}\n" for text in requires))
        options = ("--no-build", "--python", "venv/bin/python", "--default-index", self.index, "-r", "requirements")
        self._uv(folder, where, "pip", "install", *options)

    def _uv(self, folder: Path, where: str, *arguments: str) -> None:
        cache = ("--bind", str(self.cache), "/task/uv-cache")
        (folder / "uv-cache").mkdir(exist_ok=True)
        offline = ("--offline",) if self.offline else ()
        result = self.sandbox.uv_run(folder, *arguments, *offline, binds=cache)
        if result.returncode == 0:
            return
        if any(sign in result.stderr for sign in _UNREACHABLE):
            raise FetchError(Problem(f"{self.index} cannot be reached\n{result.tail(4)}", where, fix="try again"))
        what = f"its build requirements cannot be installed\n{result.tail(8)}"
        why = "they are taken from wheels only, so that nothing of theirs runs while the network is there"
        raise BuildError(Problem(what, where, why, "run it without --offline" if self.offline else ""))


def _visible(tree: Path, copy: Path) -> tuple[str, ...]:
    """Return the binds that show a checkout's copy in its place, and read-only what git knows of it.

    A folder below the top of its repository sees all of that: it may look there for its version or its licence.
    """
    root = next((folder for folder in (tree, *tree.parents) if (folder / ".git").exists()), None)
    around = ("--ro-bind", str(root), str(root)) if root and root != tree else ()
    own = ("--ro-bind", str(tree / ".git"), str(tree / ".git")) if root == tree else ()
    elsewhere = _repository_of(root / ".git") if root else None
    history = ("--ro-bind", str(elsewhere), str(elsewhere)) if elsewhere else ()
    return (*history, *around, "--bind", str(copy), str(tree), *own)


def _repository_of(link: Path) -> Path | None:
    """Return the .git folder that the .git file of a worktree or submodule points to; nothing else is shown."""
    if not link.is_file():
        return None
    text = link.read_bytes()[:4096].decode(errors="replace").strip()
    folder = (link.parent / text.removeprefix("gitdir: ")).resolve()
    top = next((parent for parent in (folder, *folder.parents) if parent.name == ".git"), None)
    return top if top and (top / "HEAD").is_file() and (top / "objects").is_dir() else None


def _environment() -> tuple[str, ...]:
    values = {"SOURCE_DATE_EPOCH": _FIRST_OF_1980, **_GIT}
    return tuple(word for name, value in values.items() for word in ("--setenv", name, value))


def _build_system(tree: Path, where: str) -> BuildSystem:
    file = tree / "pyproject.toml"
    try:
        return build_system(strict.toml(file.read_bytes()), where)
    except ValueError as error:
        raise BuildError(Problem(str(error), str(file))) from error

"""Makes the build lock: asks every backend what it needs, and lets uv resolve all of it at once."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from elpack.archives import read_sdist
from elpack.buildlock import OWN_REQUIRES, RENEW, build_inputs, read_build_lock
from elpack.buildlock_text import PROJECT, Asked, lock_text, project_text
from elpack.errors import BuildLockError, FetchError, Problem
from elpack.lockfile import parse_uv_lock
from elpack.plan.policy import best_wheel, target_tags
from elpack.steps.lock_sandbox import LockSandbox, read_left, read_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.buildlock import BuildInputs
    from elpack.model import RemoteFile, SdistFacts, Selection, Target, UvLock
    from elpack.run import Completed

INDEX = "https://pypi.org/simple/"

_MOST_ROUNDS = 10
_UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "operation timed out")


@dataclass(slots=True)
class _Making:
    """A build lock being made: what is known so far."""

    sandbox: LockSandbox
    inputs: BuildInputs
    index: str
    asked: dict[str, Asked] = field(default_factory=dict)
    venvs: dict[tuple[str, ...], Path] = field(default_factory=dict)
    lock: UvLock | None = None
    exported: str = ""

    def requirements(self) -> set[str]:
        """Return every requirement known so far."""
        needs = (requirement for asked in self.asked.values() for requirement in (*asked.requires, *asked.dynamic))
        return {*self.inputs.own, *needs}

    def resolve(self) -> None:
        """Let uv lock what is known so far. Raises `BuildLockError` when it does not fit together."""
        folder = self.sandbox.folder()
        project = project_text(self.requirements(), self.inputs, sys.version_info[:2])
        (folder / "pyproject.toml").write_text(project)
        self._uv(folder, "lock", "--python", self.sandbox.python, "--default-index", self.index)
        self.lock = parse_uv_lock(read_left(folder / "uv.lock"), "uv.lock of the build requirements")
        arguments = ("--format", "pylock.toml", "--frozen", "--no-emit-project", "--no-header", "--offline")
        self.exported = self._uv(folder, "export", *arguments).stdout

    def text(self) -> str:
        """Return the build lock, as it stands."""
        if self.lock is None:
            raise AssertionError("nothing was resolved yet")
        return lock_text(self.exported, self.lock, self.inputs, self.asked)

    def ask(self, facts: SdistFacts, sdist: Path) -> None:
        """Put down what a backend needs beyond its static requirements."""
        known = self.asked[facts.filename]
        question = {"folder": facts.folder, "backend": facts.backend, "backend_path": facts.backend_path}
        hook = {"hook": "get_requires_for_build_wheel"}
        result, answer = self.sandbox.ask(self._venv(known.requires), sdist, json.dumps(question | hook))
        if not answer:
            what = f"its backend {facts.backend} could not say what it needs\n{result.tail()}"
            raise BuildLockError(Problem(what, facts.filename, fix=RENEW))
        dynamic = set(read_requirements(answer, facts.filename)) - set(known.requires)
        self.asked[facts.filename] = replace(known, dynamic=tuple(sorted(dynamic)))

    def _venv(self, requires: tuple[str, ...]) -> Path:
        """Return a folder with a virtual environment that holds the static requirements, in the locked versions."""
        if requires not in self.venvs:
            folder = self.sandbox.folder()
            pins = {dist.name: dist.version for dist in self.lock.dists if dist.name != PROJECT} if self.lock else {}
            (folder / "constraints").write_text("".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
            (folder / "requirements").write_text("".join(f"{text}\n" for text in requires))
            (folder / "overrides").write_text("".join(f"{text}\n" for text in self.inputs.overrides))
            files = ("-r", "requirements", "-c", "constraints", "--overrides", "overrides")
            self._uv(folder, "venv", "venv", "--python", self.sandbox.python)
            if requires:
                where = ("--python", "venv/bin/python", "--default-index", self.index)
                self._uv(folder, "pip", "install", *where, *files)
            self.venvs[requires] = folder
        return self.venvs[requires]

    def _uv(self, folder: Path, *arguments: str) -> Completed:
        result = self.sandbox.uv_run(folder, *arguments)
        if result.returncode == 0:
            return result
        if any(sign in result.stderr for sign in _UNREACHABLE):
            raise FetchError(Problem(f"{self.index} cannot be reached\n{result.tail(4)}", fix=f"try again: {RENEW}"))
        wanted = {"elpack": self.inputs.own, **{name: asked.requires for name, asked in sorted(self.asked.items())}}
        who = "; ".join(f"{name}: {', '.join(requires)}" for name, requires in wanted.items())
        what = f"uv {arguments[0]} could not lock the build requirements\n{result.tail()}"
        raise BuildLockError(Problem(what, why=f"required by {who}", fix=f"mend what does not fit, then {RENEW}"))


def make_build_lock(
    sdists: Sequence[SdistFacts],
    sdist_files: Mapping[str, Path],
    closures: Sequence[tuple[Target, Selection]],
    sandbox: LockSandbox,
    fetch_sdist: Callable[[RemoteFile], Path],
    *,
    own: Sequence[str] = OWN_REQUIRES,
    overrides: Collection[NormalizedName] = (),
    index: str = INDEX,
) -> str:
    """Return the text of pylock.build.toml for sdists that are built for the targets of `closures`.

    sdist_files: where each sdist lies, by file name. overrides: see `build_inputs`. fetch_sdist gets the verified
    sdist of a build requirement that has no wheel for some target. Backends are asked with the host's Python: what
    they would add only under another version is not seen.

    Raises `BuildLockError` when requirements contradict each other or a backend fails, `FetchError` when the index
    cannot be reached.
    """
    inputs = build_inputs(sdists, closures, own, overrides)
    making = _Making(sandbox, inputs, index)
    making.asked = {name: Asked(sha256, requires) for name, (sha256, requires) in inputs.sdists.items()}
    waiting = [(facts, sdist_files[facts.filename]) for facts in sdists]
    for _ in range(_MOST_ROUNDS):
        making.resolve()
        before = making.requirements()
        for facts, path in sorted(waiting, key=lambda item: item[0].filename):
            making.ask(facts, path)
        waiting = []
        for file in _without_wheel(making.text(), [target for target, _ in closures]):
            if file.filename not in making.asked:
                path = fetch_sdist(file)
                facts = read_sdist(path, file.sha256)
                making.asked[file.filename] = Asked(str(file.sha256), facts.build_requires, build_only=True)
                waiting.append((facts, path))
        if not waiting and making.requirements() == before:
            return making.text()
    raise BuildLockError(Problem(f"build requirements still grow after {_MOST_ROUNDS} rounds", fix="report this"))


def _without_wheel(text: str, targets: Sequence[Target]) -> Iterator[RemoteFile]:
    """Yield the sdists of locked dists that must be compiled for some target."""
    for target in targets:
        ranks = target_tags(target)
        for dist in read_build_lock(text, "pylock.build.toml", target):
            if dist.sdist is not None and best_wheel(dist.wheels, ranks) is None:
                yield dist.sdist

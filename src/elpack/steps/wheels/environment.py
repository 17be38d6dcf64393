"""A fresh virtual environment where nobody's code has network: wheels are installed by hash, tried, and built."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack import strict
from elpack.builders.emulation import MACHINE
from elpack.errors import BuildLockError, Problem, WheelError
from elpack.steps.lock_sandbox import read_left
from elpack.wheels.standin import GLIBC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.run import Completed
    from elpack.steps.lock_sandbox import LockSandbox
    from elpack.steps.wheels.interpreters import Found
    from elpack.steps.wheels.requirements import Pinned

_PYTHON = "/task/venv/bin/python"
_FILES = "/elpack/files"
_ASKED = "try_wheel.py"
_FIRST_OF_1980 = "315532800"
_STANDIN = {"PATH": "/usr/local/bin:/usr/bin:/bin", GLIBC: "2.28", "ZIG_GLOBAL_CACHE_DIR": "/tmp/zig"}  # noqa: S108
"""How the stand-in image's compilers are found and told what they are to link for."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One virtual environment, in a folder that the sandbox shows as /task.

    What ran in there may have left links in it: nothing is written or read there any more, but in folders of `space`.
    """

    sandbox: LockSandbox
    python: Found
    folder: Path
    spaces: list[Path] = field(default_factory=list)

    @classmethod
    def fresh(cls, sandbox: LockSandbox, python: Found) -> Environment:
        """Return a new, empty one. Raises `WheelError` when the interpreter does not give one."""
        inside = replace(sandbox, root=python.root, emulated=python.column.arch != MACHINE)
        one = cls(inside, python, sandbox.folder())
        done = one._uv((), "venv", "--no-project", "--python", str(python.path), "/task/venv")
        if done.returncode != 0:
            raise WheelError(Problem(f"no environment can be made\n{done.tail(6)}", str(python.path)))
        return one

    def install(self, files: Iterable[Pinned]) -> None:
        """Install wheels, each by its hash; nothing is resolved and nothing built. Raises `WheelError`."""
        wanted = sorted(files, key=lambda one: one.name)
        if not wanted:
            return
        lines = [f"{one.name} @ file://{_FILES}/{one.path.name} --hash=sha256:{one.sha256}\n" for one in wanted]
        given = self._given("requirements", "".join(lines))
        shown = tuple(word for one in wanted for word in ("--ro-bind", str(one.path), f"{_FILES}/{one.path.name}"))
        options = ("--offline", "--no-index", "--no-deps", "--no-build", "--require-hashes", "--python", _PYTHON)
        done = self._uv((*given, *shown), "pip", "install", *options, "-r", "/elpack/requirements")
        if done.returncode != 0:
            raise WheelError(Problem(f"it cannot be installed\n{done.tail(8)}", self.python.tag))

    def unmet(self) -> str:
        """Return what uv says of requirements that are not there, or not in the version asked for; "" for none."""
        done = self._uv((), "pip", "check", "--python", _PYTHON)
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
        found = [line for line in said if line.startswith("The package ")]
        return "" if done.returncode == 0 else "; ".join(found) or done.tail(4)

    def ask(self, question: Mapping[str, Any], binds: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Return what `try_wheel.py` answers in there. Raises `WheelError` when it gives no answer, or not in time."""
        program = resources.files("elpack.assets") / _ASKED
        given, left = self._given("question.json", json.dumps(question)), self.space()
        own = (*given, "--ro-bind", str(program), f"/elpack/{_ASKED}", "--bind", str(left), "/answer")
        argv = (_PYTHON, "-I", f"/elpack/{_ASKED}", "/elpack/question.json", "/answer/answer.json")
        try:
            done = self.sandbox.apart(self.folder, (*own, *self._interpreter(), *binds), *argv)
            text = read_left(left / "answer.json")
        except BuildLockError as error:  # it met one of the sandbox's limits, or left a trap
            raise WheelError(*error.problems) from error
        try:
            answer = strict.json_value(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            how = f"by signal {-done.returncode}" if done.returncode < 0 else f"with {done.returncode}"
            raise WheelError(Problem(f"what was tried ended {how}\n{done.tail(8)}", self.python.tag))
        return answer

    def build(self, sdist: Path) -> Path:
        """Return the wheel that the backend of an sdist writes, in this environment's folder. Raises `WheelError`."""
        out = self.space()
        folders = ("--ro-bind", str(sdist), f"/elpack/{sdist.name}", "--bind", str(out), "/out")
        variables = {"SOURCE_DATE_EPOCH": _FIRST_OF_1980, **(_STANDIN if self.python.root else {})}
        shown = (*folders, *(word for pair in variables.items() for word in ("--setenv", *pair)))
        options = ("--wheel", "--no-build-isolation", "--offline", "--no-cache", "--python", _PYTHON)
        try:
            done = self._uv(shown, "build", *options, "--out-dir", "/out", f"/elpack/{sdist.name}")
        except BuildLockError as error:
            raise WheelError(*error.problems) from error
        found = sorted(path for path in out.glob("*.whl") if path.is_file() and not path.is_symlink())
        if done.returncode != 0 or len(found) != 1:
            raise WheelError(Problem(f"its backend built no wheel\n{done.tail(10)}", sdist.name))
        return found[0]

    def remove(self) -> None:
        """Take its folders away."""
        for folder in (self.folder, *self.spaces):
            shutil.rmtree(folder, ignore_errors=True)

    def space(self) -> Path:
        """Return a new folder that goes with the environment, and that nothing in there sees unless it is shown."""
        self.spaces.append(self.sandbox.folder())
        return self.spaces[-1]

    def _given(self, name: str, text: str) -> tuple[str, ...]:
        path = self.space() / name
        path.write_text(text)
        return ("--ro-bind", str(path), f"/elpack/{name}")

    def _uv(self, binds: tuple[str, ...], *arguments: str) -> Completed:
        shown = ("--bind", str(self.folder), "/task", *self._interpreter(), *binds)
        return self.sandbox.uv_apart(self.folder, shown, *arguments)

    def _interpreter(self) -> tuple[str, ...]:
        prefix = str(self.python.prefix)
        return () if prefix == "/usr" or prefix.startswith("/usr/") else ("--ro-bind", prefix, prefix)

"""PyPy's program for a base that stands in for one with a later PyPy: compiled with what that one's C interface has."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.images import uv
from elpack.images.pypy_symbols import interface, is_interpreter
from elpack.steps.images.pypy_root import build_root
from elpack.steps.images.uv_sandbox import UvSandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.session import Session
    from elpack.steps.images.pypy_root import DebianRoot

_SOURCE = "pypy_later.c"
_FLAGS = ("-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", "-pie", "-s", "-Wl,-z,relro,-z,now", "-Wl,--build-id=none")
"""Position-independent throughout: a copy of a variable of the library would not be the library's."""


def lacking(root: DebianRoot, functions: Iterable[str]) -> tuple[str, ...]:
    """Return those functions that the PyPy of a root does not give. Raises `ImageError` where it has no library."""
    found = [path for path in root.folder.glob("usr/lib/**/libpypy3*.so") if is_interpreter(path.name)]
    if len(found) != 1:
        what = f"{len(found)} libraries of PyPy are in the packages of its base, expected one"
        raise ImageError(Problem(what, str(root.folder), fix="delete that folder; if it stays so, name another base"))
    _, given = interface(found[0].read_bytes())
    return tuple(name for name in functions if name not in given)


def program_parts(root: DebianRoot, functions: Iterable[str], session: Session) -> tuple[str, ...]:
    """Return what a base's key holds for its program: nothing where Debian's is as it has to be."""
    missing = lacking(root, functions)
    return (*missing, program_digest(), *_FLAGS, _compiler(session).digest) if missing else ()


def program_digest() -> str:
    """Return the digest of the source."""
    return hashlib.sha256((resources.files("elpack.assets") / _SOURCE).read_bytes()).hexdigest()


def program(root: DebianRoot, functions: Iterable[str], session: Session) -> bytes | None:
    """Return PyPy's program with functions that the library of a root lacks, or None where it lacks none.

    It is compiled where everything for PyPy is: from the same release of Debian, without network. Raises `ImageError`.
    """
    missing = lacking(root, functions)
    if not missing:
        return None
    log = session.output / "logs" / "images" / "pypy-program.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    target, tasks = session.target, session.workspace.work / "images" / "tasks"
    name = Path(target.interpreter).name
    sandbox = UvSandbox(_compiler(session).folder, tasks, target, session.project.release.prefix, session.runner)
    shown = [f"-Wl,--export-dynamic-symbol={function}" for function in missing]
    gcc = ("gcc", *_FLAGS, f"-I/usr/include/{name}", _SOURCE, "-o", name, f"-l:lib{name}-c.so", *shown)
    with sandbox.task() as task:
        (task.home / _SOURCE).write_bytes((resources.files("elpack.assets") / _SOURCE).read_bytes())
        done = task.run([(gcc, uv.HOME)], log=log)
        made = task.home / name
        if done.returncode != 0 or not made.is_file():
            what = f"PyPy's program could not be compiled\n{done.tail()}"
            raise ImageError(Problem(what, str(log), fix="a base that lacks nothing needs none: see [images.bases]"))
        content = made.read_bytes()
    _, given = interface(content)
    if set(given) != set(missing):
        what = f"PyPy's program gives {', '.join(given) or 'nothing'}, expected {', '.join(missing)}"
        raise ImageError(Problem(what, str(log), fix="data/bases names what assets/pypy_later.c has"))
    return content


def _compiler(session: Session) -> DebianRoot:
    return build_root(session.target, session.workspace, session.runner)

"""The interpreters that this machine has, as uv finds them; none is downloaded."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elpack import strict
from elpack.builders.emulation import MACHINE
from elpack.errors import CommandError, Problem
from elpack.run import CLEAN_ENV, Command
from elpack.wheels.columns import Column
from elpack.wheels.model import INTERPRETERS, Implementation
from elpack.wheels.standin import standin_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.run import Runner
    from elpack.steps.lock_sandbox import LockSandbox

_TAGS = {"cpython": "cp", "pypy": "pp"}
_RELEASE = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Found:
    """An interpreter on this machine. `version` is its whole version, `prefix` the folder that it lies in.

    root: the folder that is its system, None where that is this machine's.
    """

    column: Column
    version: str
    path: Path
    prefix: Path
    root: Path | None = None

    @property
    def tag(self) -> str:
        """Its tag, such as cp311."""
        return self.column.interpreter.tag


def found_interpreters(
    runner: Runner, uv: Path, environ: Mapping[str, str], also: tuple[Path, ...] = ()
) -> dict[str, Found]:
    """Return the newest interpreter of each tag, by its tag. `also`: interpreters that PATH does not lead to.

    Raises `CommandError` when uv does not answer.
    """
    argv = (str(uv), "python", "list", "--only-installed", "--no-python-downloads", "--output-format", "json")
    # where people keep interpreters is told by PATH and HOME
    passed = {name: environ[name] for name in ("PATH", "HOME", "UV_PYTHON_INSTALL_DIR") if name in environ}
    path = ":".join([*(str(one.absolute().parent) for one in also), passed.get("PATH", CLEAN_ENV["PATH"])])
    done = runner(Command((*argv, "--no-config"), env={**CLEAN_ENV, **passed, "PATH": path})).check()
    try:
        entries = strict.json_value(done.stdout)
    except ValueError as error:
        raise CommandError(Problem(f"uv python list answered no JSON: {error}", fix=str(done.command))) from error
    found: dict[str, Found] = {}
    for entry in entries if isinstance(entries, list) else ():
        one = _found(entry, runner) if isinstance(entry, dict) else None
        if one and (one.tag not in found or _numbers(one.version) > _numbers(found[one.tag].version)):
            found[one.tag] = one
    return dict(sorted(found.items()))


def standin_interpreters(
    root: Path, sandbox: LockSandbox, tags: Iterable[str], arch: str = MACHINE
) -> dict[str, Found]:
    """Return those of some tags that an unpacked stand-in image holds, by tag; each is asked which it is."""
    inside, folder = replace(sandbox, root=root), sandbox.folder()
    question = "import platform; print(platform.python_version())"
    found = {}
    for tag in tags:
        if one := standin_image().interpreters.get(tag):
            done = inside.apart(folder, (), one.program, "-I", "-c", question).check()
            version = f"{done.stdout.strip()}, stand-in image{'' if arch == MACHINE else ', emulated'}"
            column = Column(INTERPRETERS[tag], arch)
            found[tag] = Found(column, version, Path(one.program), Path("/usr"), root)
    return found


def _found(entry: Mapping[str, Any], runner: Runner) -> Found | None:
    version, path = str(entry.get("version", "")), entry.get("path")
    head = _TAGS.get(str(entry.get("implementation", "")))
    tag = f"{head}{''.join(version.split('.')[:2])}"
    interpreter = INTERPRETERS.get(tag)
    arch = str(entry.get("arch", ""))
    plain = entry.get("variant", "default") == "default" and entry.get("os") == "linux"
    if interpreter is None or not isinstance(path, str) or not plain or arch != platform.machine():
        return None
    real = Path(path).resolve()
    if real.name not in {f"python{interpreter.version}", f"pypy{interpreter.version}"} or not real.is_file():
        return None  # a shim, which asks somebody else
    if interpreter.implementation is Implementation.PYPY:
        interpreter = replace(interpreter, release=_release(real, runner))
    return Found(Column(interpreter, arch, musl=entry.get("libc") == "musl"), version, real, real.parents[1])


def _release(pypy: Path, runner: Runner) -> str:
    """Return PyPy's own version, such as 7.3, which uv does not tell; "" when it does not either."""
    question = "import sys; print('%d.%d' % sys.pypy_version_info[:2])"
    done = runner(Command((str(pypy), "-I", "-c", question), env=CLEAN_ENV))
    return done.stdout.strip() if done.returncode == 0 and _RELEASE.fullmatch(done.stdout.strip()) else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())

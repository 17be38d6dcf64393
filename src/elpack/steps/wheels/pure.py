"""Builds the wheel of a package without machine code: by its backend, in a sandbox without network."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from elpack.archives.rewheel import rewheel
from elpack.errors import Problem, WheelError
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.wheels.interpreters import found_interpreters
from elpack.steps.wheels.requirements import Locked
from elpack.steps.wheels.trials import own_glibc
from elpack.wheels.model import Implementation

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.model import SdistFacts
    from elpack.run import Runner
    from elpack.steps.closure import Sources
    from elpack.steps.project import Project
    from elpack.steps.wheels.interpreters import Found
    from elpack.workspace import Workspace


def pure_wheels(
    project: Project, sources: Sources, workspace: Workspace, runner: Runner, *, offline: bool
) -> PureWheels:
    """Return what builds them, with the first interpreter here that the build lock was made for.

    Raises `WheelError` when there is none.
    """
    # not where other commands make the sdists of checkouts meanwhile
    sandbox = LockSandbox.here(runner, workspace.work / "lock", os.environ)
    found = found_interpreters(runner, sandbox.uv, os.environ)
    served = {(choice.python, arch) for choice in project.release.targets for arch in choice.arches}
    fitting = [one for one in found.values() if _fits(one, served)]
    if not fitting:
        wanted = ", ".join(sorted({python for python, _ in served}))
        what = f"no CPython {wanted} is here to build what is pure"
        raise WheelError(Problem(what, why="pylock.build.toml pins for those", fix="install one"))
    return PureWheels(Locked(project, sources, workspace, sandbox, own_glibc(), offline=offline), fitting[0])


def _fits(one: Found, served: set[tuple[str, str]]) -> bool:
    column = one.column
    return column.interpreter.implementation is Implementation.CPYTHON and (column.python, column.arch) in served


class PureWheels:
    """Builds wheels with locked build requirements."""

    def __init__(self, locked: Locked, python: Found) -> None:
        self.locked, self.python = locked, python

    def build(self, facts: SdistFacts, sdist: Path, into: Path) -> None:
        """Write the wheel of an sdist into a folder, normalised.

        Raises `WheelError` where that is for some machines only, `BuildLockError`, and what a failing backend gives.
        """
        wheel = self.locked.built(sdist, facts.sha256, self.python)
        if not wheel.name.endswith("-py3-none-any.whl"):
            what = "its wheel is not for everybody, though nothing in its source tells of machine code"
            raise WheelError(Problem(what, wheel.name, fix="report it, with the sdist"))
        shutil.copyfile(wheel, into / wheel.name)
        rewheel(into / wheel.name)

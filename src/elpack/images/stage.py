"""The first stage of mode `container`: what it runs, known from the plan, before any wheel is made."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from elpack.images import uv
from elpack.images.containerfile import CONTEXT
from elpack.model import Policy
from elpack.plan.model import Role

if TYPE_CHECKING:
    from elpack.config import Release
    from elpack.plan.model import Plan

_WHEELS = f"{uv.WHEELS}/*.whl"
_IN_TREES = (Role.THIRD_PARTY, Role.FIRST_PARTY, Role.APPLICATION)


def stage_commands(release: Release, plan: Plan, python: str) -> tuple[str, ...]:
    """Return the lines of shell that make the tree in a stage; python: the interpreter of its base image."""
    prefix, target = release.prefix, plan.target
    made = [one.dist for one in plan.packages if one.role in _IN_TREES and (one.policy is Policy.SDIST or one.drop)]
    commands = [
        (uv.venv(python, prefix), "/"),
        (uv.finish(python, "bare"), "/"),
        (uv.sync(target, python, release.application.extras, made), uv.SOURCE),
        (uv.install(f"{prefix}/bin/python", [_WHEELS], target), "/"),
        (uv.finish(python, "finish"), "/"),
    ]
    lines = uv.stage_lines(prefix, CONTEXT, python, commands)
    # the shell finds the wheels, whose names tell what they were compiled for
    return tuple(line.replace(shlex.quote(_WHEELS), _WHEELS) for line in lines)

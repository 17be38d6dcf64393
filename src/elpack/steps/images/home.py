"""The side of a session that is this machine's own: what uv works with where the image is for another architecture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elpack.builders.emulation import MACHINE
from elpack.steps.base import base

if TYPE_CHECKING:
    from elpack.model import Target
    from elpack.session import Session
    from elpack.steps.base import Base


@dataclass(frozen=True, slots=True)
class Home:
    """The target as it is for this machine, and its own packages there."""

    target: Target
    base: Base


def home_of(session: Session) -> Home:
    """Return this machine's side of a session that has a base: its own one, unless it works for another architecture.

    Nothing of the tree hangs on who unpacks and compiles it, so that no program of the other architecture is run.
    """
    target = replace(session.target, arch=MACHINE)
    if target == session.target:
        return Home(target, session.base)
    home = session.home
    if home is not None and home.has_base and home.target == target:
        return Home(target, home.base)
    offline, notice = session.options.offline, session.screen.notice
    return Home(target, base(target, session.workspace, offline=offline, notice=notice))

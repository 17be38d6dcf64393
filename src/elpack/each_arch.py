"""The program for every architecture of a release at once: what is built is built together, the rest one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.model import EVERY_ARCH
from elpack.pipeline import PIPELINE, carry_out, need_root, need_tools, take_steps, tell_built
from elpack.session import Session
from elpack.steps.alone import alone
from elpack.steps.base import MACHINE, choose_target, drop_damaged
from elpack.steps.project import read_project
from elpack.steps.sides import build_of, ways_of
from elpack.steps.together import Together
from elpack.workspace import BUILDING

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.pipeline import Step


def carry_out_each(session: Session, last: str, *then: Step) -> list[Session]:
    """Run the steps up to `last`, and those of `then`, for every architecture of the release if `all` was asked for.

    Everything is built together; what is of this machine's own architecture comes first, and is handed over, installed
    and tried while the others are still being built. Returns the sessions, raises what `carry_out` raises.
    """
    if session.options.arch != EVERY_ARCH:
        carry_out(session, last, *then)
        return [session]
    names = [step.name for step in PIPELINE]
    steps = (*PIPELINE[: names.index(last) + 1], *then)
    before, after = steps[: names.index("key")], steps[names.index("build") + 1 :]
    need_tools(steps)
    need_root(steps)
    with alone(session.workspace, session.runner):
        sessions = _each_arch(session)
        for one in sessions:
            one.home = sessions[0] if one is not sessions[0] else None
            one.sources = session.sources or (sessions[0].gathered.sources if one.home else None)
            take_steps(before, one, one.options.arch)
            for step in after:
                step.need(one)
        take_steps(steps[names.index("key") : names.index("build")], sessions[0])
        for ways in filter(None, map(ways_of, sessions)):
            session.screen.notice(ways.notice)
        sided = build_of(sessions)
        if len(sided.build.predict()) < len(sided.build.packages):
            drop_damaged(session.workspace.bases(*BUILDING), session.screen.notice)
        with Together(sided) as together:
            for one in sessions:
                one.signer = sessions[0].signer
                take_steps((_finishing(together), *after), one, one.options.arch)
    return sessions


def _each_arch(session: Session) -> list[Session]:
    """Return a session for each architecture of the target, this machine's own first."""
    release, options = read_project(session.workspace).release, session.options
    arches = {choice.name: choice.arches for choice in release.targets}
    first = next((name for name in arches if MACHINE in arches[name]), "") if not options.target else options.target
    own = MACHINE if MACHINE in arches.get(first, ()) else next(iter(arches.get(first, ())), "")
    target, _ = choose_target(release, options.target, own, offline=options.offline)
    ordered = sorted(arches[target.name], key=lambda arch: arch != own)
    return [
        Session(session.workspace, replace(options, target=target.name, arch=arch), session.screen, session.runner)
        for arch in ordered
    ]


def _finishing(together: Together) -> Step:
    """Return the step that waits until what is built together is there for one architecture."""

    def action(session: Session, say: Callable[[str], None]) -> None:
        arch = session.target.arch
        mine = tuple(one for one in together.sided.build.packages if together.sided.build.arch_of(one) == arch)
        with session.screen.building(replace(session.plan, packages=mine)) as watcher:
            session.results = together.finish(arch, watcher)
        tell_built(session, say)

    return next(replace(step, action=action) for step in PIPELINE if step.name == "build")

"""The program: one list of steps, from the release file to a smoke-tested repository."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elpack.builders.emulation import is_emulated, need_emulation
from elpack.checks import check_plan
from elpack.errors import PrivilegeError, Problem, ToolMissingError
from elpack.manifest import drop_index, write_index, write_json
from elpack.model import Layout
from elpack.plan.make import make_plan
from elpack.publication import RELEASES, served_at
from elpack.render import render_all
from elpack.session import Session, Unseen
from elpack.steps.alone import alone
from elpack.steps.base import MACHINE, base, choose_target, drop_damaged
from elpack.steps.buildlock import check_build_lock
from elpack.steps.describe import describe
from elpack.steps.exchange import exchanged
from elpack.steps.gather import gather
from elpack.steps.handover import Handover
from elpack.steps.images.joint import drop_stale
from elpack.steps.install import install_key, installed_root
from elpack.steps.project import read_project
from elpack.steps.repository import About
from elpack.steps.results import debug_packages, published
from elpack.steps.rpmset import check_rpms
from elpack.steps.sides import build_of, sides_for, untried, ways_of
from elpack.steps.sign import THROWAWAY, UNSIGNED, signer, throwaway_signer
from elpack.tools.dnf import folder as folder_of
from elpack.workspace import BUILDING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.model import RemoteFile
    from elpack.plan.model import NodeId
    from elpack.store import Store


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the pipeline: what the user reads, the programs that it needs, and what it does."""

    name: str
    title: str
    action: Callable[[Session, Callable[[str], None]], None]
    tools: tuple[str, ...] = ()
    standin_tools: tuple[str, ...] = ()
    """Programs that only a stand-in target needs."""
    root: bool = False
    need: Callable[[Session], None] = lambda _: None
    """Raises what keeps it from being taken, as soon as release and target are known."""


def _read(session: Session, say: Callable[[str], None]) -> None:
    session.project = read_project(session.workspace)
    release = session.project.release
    session.target, why = choose_target(
        release, session.options.target, session.options.arch, offline=session.options.offline
    )
    say(f"{release.name} for {session.target}, layout {session.layout}")
    if why:
        session.screen.notice(why)


def _fetch(session: Session, say: Callable[[str], None]) -> None:
    sizes: dict[str, int] = {}

    def progress(file: RemoteFile, received: int) -> None:
        sizes[file.sha256] = received
        say(f"{sum(sizes.values()) / 1e6:.0f} MB")

    session.gathered = gather(
        session.project,
        session.target,
        session.workspace,
        layout=session.layout,
        sources=session.sources,
        offline=session.options.offline,
        runner=session.runner,
        progress=progress,
    )
    files = len(session.gathered.inputs.facts)
    say(f"{files} files")
    for notice in session.gathered.inputs.notices:
        session.screen.notice(notice)


def _plan(session: Session, say: Callable[[str], None]) -> None:
    inputs = session.gathered.inputs
    check_build_lock(session.project, session.gathered.sources, session.workspace, offline=session.options.offline)
    session.plan = plan = make_plan(inputs)
    check_plan(plan, inputs)
    release = inputs.release
    session.specs = render_all(plan, release.packager, release.revision)
    say(f"{len(plan.packages)} packages, {len(plan.published())} of them for customers")


def plan_home(session: Session) -> None:
    """Plan the same release for this machine's own architecture, where the target is of another: they share work."""
    if session.home is not None or session.target.arch == MACHINE:
        return
    choice = next(choice for choice in session.project.release.targets if choice.name == session.target.name)
    if MACHINE in choice.arches:
        options = replace(session.options, target=choice.name, arch=MACHINE)
        home = Session(session.workspace, options, Unseen(), session.runner, sources=session.gathered.sources)
        for action in (_read, _fetch, _plan):
            action(home, lambda _: None)
        session.home = home


def _base(session: Session, say: Callable[[str], None]) -> None:
    plan_home(session)
    if session.home is not None and not session.home.has_base:
        _base(session.home, say)
    session.base = base(
        session.target, session.workspace, say, offline=session.options.offline, notice=session.screen.notice
    )
    say(session.target.title)


def _build(session: Session, say: Callable[[str], None]) -> None:
    _build_nodes(session, [package.node for package in session.plan.packages], say)


def _build_nodes(session: Session, wanted: Collection[NodeId], say: Callable[[str], None]) -> None:
    arch = session.target.arch
    if ways := ways_of(session):
        session.screen.notice(ways.notice)
    sided = build_of(sides_for(session), {arch: wanted})
    build = sided.build
    if len(build.predict()) < len(build.packages):
        drop_damaged(session.workspace.bases(*BUILDING), session.screen.notice)
    with session.screen.building(replace(session.plan, packages=build.packages)) as watcher:
        build.watcher = watcher
        session.results = sided.results(arch, build.run())
    tell_built(session, say)


def tell_built(session: Session, say: Callable[[str], None]) -> None:
    """Say how many packages were built, and how many had been."""
    made = sum(not result.cached for result in session.results.values())
    had = len(session.results) - made
    say(f"{made} built, {had} had been built before" if made else f"nothing to do: all {had} had been built before")


def _check(session: Session, say: Callable[[str], None]) -> None:
    rpms = published(session.plan, session.results)
    debug = debug_packages(session.results)
    check_rpms(session.plan, {node: result.rpms for node, result in session.results.items()}, debug)
    say(f"{len(rpms)} RPMs, {sum(path.stat().st_size for path in rpms) / 1e6:.0f} MB")


def _key(session: Session, say: Callable[[str], None]) -> None:
    if session.options.unsigned:
        session.screen.notice(UNSIGNED)
        say("none: it is not signed")
        return
    session.signer = signer(session.project.release.signing, session.workspace, session.runner)
    if session.signer.throwaway:
        session.screen.notice(THROWAWAY)
    say(f"{session.signer.key.fingerprint}{', made just now' if session.signer.made else ''}")


def _repository(session: Session, say: Callable[[str], None]) -> None:
    with (
        session.store as store,
        exchanged(session.output, kept=("logs", *Layout)) as stage,
    ):
        _handover(session).write(stage, session.specs, session.signer, store, earlier=session.output)
        _tell_damage(store, session)
        # it quotes the manifest that is about to be replaced
        drop_index(session.workspace.dist)
    drop_stale(session.workspace.dist)
    write_index(session.workspace.dist)
    session.repository = session.output / "repo"
    say(str(session.repository))


def _tell_damage(store: Store, session: Session) -> None:
    """Say which signed copies were damaged; they are made again by now."""
    for problem in store.take_notices():
        session.screen.notice(str(problem))


def _handover(session: Session) -> Handover:
    release, name = session.project.release, session.repository_id
    title, url = f"{name} for {session.plan.target.title}", session.output.as_uri()
    if release.publish.url:
        url = served_at(release.publish.url, RELEASES, str(session.output.relative_to(session.workspace.dist)))
    about = About(name, release.name, title, url, served=bool(release.publish.url))
    work = session.workspace.work / "signing"
    return Handover(release, session.plan, session.results, about, work, describe(session))


def _install(session: Session, say: Callable[[str], None]) -> None:
    passed = session.output / "logs" / "passed.json"
    repository = signed_repository(session)
    key = install_key(
        session.project.release, session.layout, session.base.digest, folder_of(repository), session.workspace
    )
    if not session.options.again and _passed(passed) == key:
        say("nothing to do: this very set was installed and smoke-tested before; `elpack smoke` does it again")
        return
    passed.unlink(missing_ok=True)
    drop_damaged(session.workspace.bases("roots"), session.screen.notice)
    session.install, session.smoke = installed_root(
        session.project.release,
        session.plan,
        session.base.repositories,
        repository,
        session.workspace,
        logs=session.output / "logs",
        runner=session.runner,
        progress=say,
        untried=untried(session),
    )
    write_json(passed, {"key": key, "seconds": session.install.seconds, "installed": session.install.installed})
    how = ", emulated" if is_emulated(session.target.arch) else ""
    say(f"dnf installed {len(session.install.installed)} packages in {session.install.seconds:.1f} s{how}")


def _need_to_run(session: Session) -> None:
    need_emulation(session.target.arch)


def signed_repository(session: Session) -> Repository:
    """Return the repository to install from. dnf checks its packages and its metadata, as it does at customers'.

    Of one that is handed over unsigned a copy is made, signed by the throwaway key.
    """
    handover, folder = _handover(session), session.output
    if session.signer is None:
        by = throwaway_signer(session.workspace, session.runner)
        folder = session.workspace.work / "signed" / session.output.relative_to(session.workspace.dist)
        with session.store as store, exchanged(folder) as stage:
            handover.write_for_installation(stage, by, store)
            _tell_damage(store, session)
    return handover.repository(folder)


def _passed(path: Path) -> str:
    """Return the key of what passed installation and smoke test last, "" when that cannot be told."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(path.read_text())["key"])
    return ""


_STANDIN = ("mmdebstrap", "dpkg-deb", "rpmbuild", "createrepo_c")

# The whole tool. Each step takes what the ones before it left in the session.
PIPELINE: tuple[Step, ...] = (
    Step("read", "Read the release file", _read),
    Step("fetch", "Fetch what the locks pin", _fetch),
    Step("plan", "Plan and check the whole set", _plan),
    Step("base", "Provide the target's own packages", _base, standin_tools=_STANDIN),
    Step("key", "Look at the key that signs", _key, ("gpg", "gpg-agent", "gpgconf", "rpmsign", "rpmkeys")),
    Step("build", "Build in clean roots", _build, ("dnf", "bwrap", "createrepo_c")),
    Step("check", "Check the built set", _check, ("rpm",)),
    Step("repository", "Make the dnf repository", _repository, ("createrepo_c",)),
    Step("install", "Install and smoke-test", _install, ("dnf", "bwrap"), root=True, need=_need_to_run),
)


_WIDE = 43
"""Columns of a step's title with an architecture."""

_READING = ("read", "fetch", "plan")


def build_only(wanted: Callable[[Session], Iterable[NodeId]]) -> Step:
    """Return the step that builds what is wanted of a plan, and what must be there before; results are of these."""

    def action(session: Session, say: Callable[[str], None]) -> None:
        _build_nodes(session, list(wanted(session)), say)

    return next(replace(step, action=action) for step in PIPELINE if step.action is _build)


def carry_out(session: Session, last: str, *then: Step) -> None:
    """Run the steps up to the one named `last`, and those that follow it instead of the pipeline's next.

    Raises `ToolMissingError` or `PrivilegeError` before it starts what it cannot end.
    """
    names = [step.name for step in PIPELINE]
    steps = (*PIPELINE[: names.index(last) + 1], *then)
    need_tools(steps)
    need_root(steps)
    # up to the plan nothing is changed but what is fetched or read anew, each file in one step
    with alone(session.workspace, session.runner) if last not in _READING else nullcontext():
        take_steps(steps, session)


def carry_on(session: Session, *steps: Step) -> None:
    """Take more steps with a session that the pipeline has brought as far as these need."""
    for step in steps:
        step.need(session)
    need_tools(steps, standin=session.target.standin)
    need_root(steps)
    with alone(session.workspace, session.runner):
        take_steps(steps, session)


def take_steps(steps: Sequence[Step], session: Session, arch: str = "") -> None:
    """Take steps one after the other; with an architecture, their lines say it."""
    for step in steps:
        start = time.monotonic()
        title = f"{step.title} ({arch})".ljust(_WIDE) if arch else step.title
        with session.screen.phase(title) as say:
            step.action(session, say)
        session.seconds[step.name] = time.monotonic() - start
        if step is PIPELINE[0]:
            need_tools(steps, standin=session.target.standin)
            for each in steps:
                each.need(session)


def need_tools(steps: Sequence[Step], *, standin: bool = False) -> None:
    """Raise `ToolMissingError` with every program that the steps need and this machine has not."""
    wanted = {tool: step.title for step in steps for tool in (*step.tools, *(step.standin_tools if standin else ()))}
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        fix = "make -f Makefile.rpm test, which installs what is missing"
        raise ToolMissingError(
            *(Problem(f"{tool} is not installed", where=wanted[tool], fix=fix) for tool in sorted(missing))
        )


def need_root(steps: Sequence[Step]) -> None:
    """Raise `PrivilegeError` for a step that only root may take."""
    """Raise `PrivilegeError` for a step that nothing but root can take; the builders say themselves what they need."""
    titles = [step.title for step in steps if step.root]
    if titles and os.geteuid() != 0:
        fix = "run it with sudo; elpack check, plan and spec need no root"
        raise PrivilegeError(Problem("clean roots are made with mounts, which only root may do", titles[0], fix=fix))

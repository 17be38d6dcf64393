"""Everything of a release in one run: sdists, wheels, RPMs and images, each made only where something changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.builders.emulation import MACHINE
from elpack.each_arch import carry_out_each
from elpack.engine.connect import need_podman
from elpack.errors import ConfigError, ElpackError, Problem, WheelError
from elpack.lineage import Record, parse_record, record_text
from elpack.listed import ALL
from elpack.model import EVERY_ARCH
from elpack.pipeline import Step, carry_on, signed_repository
from elpack.plan.model import Role
from elpack.steps.alone import alone
from elpack.steps.audit import WHEELS
from elpack.steps.base import choose_target
from elpack.steps.closure import read_sources
from elpack.steps.images.build import build_images
from elpack.steps.images.foreign import need_for_build
from elpack.steps.images.joint import join_built
from elpack.steps.project import read_project
from elpack.steps.sdists import SDISTS, members_of, put_sdists
from elpack.steps.wheels.build import WantedWheels, build_wheels
from elpack.wheels.model import How

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from elpack.lineage import Member
    from elpack.model import RemoteFile
    from elpack.session import Session

RECORD = "universe.json"
"""What finished runs were made of, beside their results."""


class Carrier(StrEnum):
    """What is made of the packages, in the order in which it is made."""

    SDIST = "sdist"
    WHEEL = "wheel"
    RPM = "rpm"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing at one place: how much of it was made in this run, how much there is, and why."""

    made: int
    number: int
    why: str


@dataclass(slots=True)
class Universe:
    """What a run found and made. outcomes: by place, such as ``sdists``, and by what lies there, packages or images.

    skipped: wanted carriers that the release does not have, or that were not begun, and why. failed: every error.
    """

    members: tuple[Member, ...] = ()
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    skipped: dict[Carrier, str] = field(default_factory=dict)
    failed: list[ElpackError] = field(default_factory=list)

    @property
    def made(self) -> int:
        """How many files or packages this run made."""
        return sum(outcome.made for found in self.outcomes.values() for outcome in found.values())

    def check(self) -> None:
        """Raise the first error, with the problems of all of them, if anything failed."""
        if self.failed:
            problems = dict.fromkeys(problem for error in self.failed for problem in error.problems)
            raise type(self.failed[0])(*problems)


@dataclass(slots=True)
class _Run:
    session: Session
    universe: Universe
    files: tuple[RemoteFile, ...]
    record: Record
    ready: list[Session] = field(default_factory=list)
    """Sessions whose repositories are there."""

    @property
    def members(self) -> tuple[Member, ...]:
        return self.universe.members

    def finish(self, place: str, made: Mapping[str, tuple[int, int]], about: Mapping[str, Member]) -> None:
        """Take note of what a place holds now, and of what it is made of. made: how much now, and how much there is."""
        self.universe.outcomes[place] = {
            what: Outcome(now, number, self.record.why(place, about[what], self.members, made=bool(now)))
            for what, (now, number) in made.items()
        }
        self.record = self.record.after(place, self.members)
        write_text(self.session.workspace.dist / RECORD, record_text(self.record))


def build_universe(session: Session, carriers: Sequence[Carrier]) -> Universe:
    """Make the carriers, in their order, into the session's folder of results; empty: all that the release has.

    The sdists are made once for all carriers. An error ends the run, unless it is to keep going; then what does not
    need the carrier that failed is made. Either way the result holds it, and what was finished stays. Raises only what
    reading the release and its sources raises.
    """
    session.project = read_project(session.workspace)
    lacking = _not_there(session)
    if refused := [one for one in carriers if one in lacking]:
        raise ConfigError(*(Problem(lacking[one], f"--carrier {one}") for one in refused))
    universe = Universe(skipped={} if carriers else lacking)
    wanted = [one for one in Carrier if (one in carriers if carriers else one not in lacking)]
    if Carrier.IMAGE in wanted:
        need_podman()  # told now, not after the RPMs were built
    run = _Run(session, universe, _sources(session, universe), _read_record(session))
    for carrier in wanted:
        _make(run, carrier, wanted)
    return universe


def _not_there(session: Session) -> dict[Carrier, str]:
    release = session.project.release
    tables = {Carrier.WHEEL: release.wheels, Carrier.IMAGE: release.images}
    return {carrier: f"elpack.toml has no [{carrier}s]" for carrier, table in tables.items() if table is None}


def _sources(session: Session, universe: Universe) -> tuple[RemoteFile, ...]:
    """Read the lock and make the checkouts' sdists, once for all that follows."""
    options, workspace, project = session.options, session.workspace, session.project
    with session.screen.phase("Read the sources") as say:
        session.sources = read_sources(project, workspace, offline=options.offline, runner=session.runner)
        arch = "" if options.arch == EVERY_ARCH else options.arch
        target, _ = choose_target(project.release, options.target, arch, offline=options.offline)
        universe.members, files = members_of(project, session.sources, target, workspace)
        say(", ".join(member.name for member in universe.members))
    for notice in session.sources.notices:
        session.screen.notice(notice)
    # what follows reads them again, and would say it again
    session.sources = replace(session.sources, notices=())
    return files


def _read_record(session: Session) -> Record:
    path = session.workspace.dist / RECORD
    try:
        return parse_record(path.read_bytes())
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError) as error:
        session.screen.notice(f"{path}: it cannot be told what changed since the last run: {error}")
        return Record()


def _make(run: _Run, carrier: Carrier, wanted: Iterable[Carrier]) -> None:
    universe = run.universe
    if universe.failed and not run.session.options.keep_going:
        universe.skipped[carrier] = "not begun after an error; --keep-going makes it"
        return
    if carrier is Carrier.IMAGE and Carrier.RPM in wanted and not run.ready:
        universe.skipped[carrier] = "the RPMs that it is made of failed"
        return
    try:
        _MAKERS[carrier](run)
    except ElpackError as error:
        universe.failed.append(error)


def _sdists(run: _Run) -> None:
    session, workspace = run.session, run.session.workspace
    assert session.sources is not None  # noqa: S101 - the run has read them
    with alone(workspace, session.runner), session.screen.phase("Hand over the sdists") as say:
        changed = run.record.changed(SDISTS, run.members)
        now = put_sdists(
            workspace.dist / SDISTS,
            run.files,
            session.sources,
            workspace,
            offline=session.options.offline,
            notice=session.screen.notice,
        )
        made = {member.name: (int(now and member.name in changed), 1) for member in run.members}
        run.finish(SDISTS, {str(name): found for name, found in made.items()}, _by_name(run.members))
        number = sum(found for found, _ in made.values())
        say(f"{number} new, {len(made) - number} as they were" if number else f"nothing to do: all {len(made)} there")


def _by_name(members: Iterable[Member]) -> dict[str, Member]:
    return {str(member.name): member for member in members}


def _wheels(run: _Run) -> None:
    """Build the wheels of the architecture that is asked for, and those for every machine."""
    session, release = run.session, run.session.project.release
    arch = session.options.arch or MACHINE
    if release.wheels and arch != EVERY_ARCH and arch not in release.wheels.arches:
        run.universe.skipped[Carrier.WHEEL] = f"[wheels] has no architecture {arch}"
        return
    wanted = WantedWheels(arches=() if arch == EVERY_ARCH else (arch,), offline=session.options.offline)
    with alone(session.workspace, session.runner), session.screen.phase("Build wheels") as say:
        results = build_wheels(session.workspace, wanted, say, session.runner, session.sources)
        number = sum(1 for one in results if one.wheel and one.seconds)
        had = sum(1 for one in results if one.wheel) - number
        say(f"{number} built, {had} had been built before" if number else f"nothing to do: all {had} there")
    for reason, places in groupby(sorted(one.cell.reason for one in results if one.cell.how is How.NOT)):
        session.screen.notice(f"no wheels for {len(list(places))} places of the matrix: {reason}")
    if problems := [problem for one in results for problem in one.problems]:
        raise WheelError(*problems)
    made: dict[str, tuple[int, int]] = {}
    for one in results:
        if one.wheel:
            now, there = made.get(str(one.cell.package), (0, 0))
            made[str(one.cell.package)] = (now + bool(one.seconds), there + 1)
    run.finish(WHEELS, made, _by_name(run.members))


def _rpms(run: _Run) -> None:
    """Build the RPMs of every architecture that is asked for; what is of this machine's own comes first."""
    for session in carry_out_each(run.session, "repository"):
        run.ready.append(session)
        made: dict[str, tuple[int, int]] = {}
        for package in session.plan.packages:
            if package.role in (Role.FIRST_PARTY, Role.APPLICATION) and package.node in session.results:
                now, number = made.get(package.dist, (0, 0))
                made[package.dist] = (now + (not session.results[package.node].cached), number + 1)
        run.finish(_place(session), made, _by_name(run.members))


def _place(session: Session) -> str:
    return str(session.output.relative_to(session.workspace.dist))


def _images(run: _Run) -> None:
    """Make the images of each architecture whose repository is there."""
    if not run.ready:
        run.ready = carry_out_each(run.session, "repository")
    application = _by_name(run.members)[str(run.session.project.release.application.name)]
    for session in run.ready:
        made: dict[str, tuple[int, int]] = {}
        carry_on(session, _image_step(made))
        run.finish(f"{_place(session)}/images", made, dict.fromkeys(made, application))
    first = run.ready[0]
    if len(run.ready) > 1 and first.signer is not None:
        made = {}
        carry_on(first, _index_step(made))
        run.finish(f"{first.target.name}/{ALL}", made, dict.fromkeys(made, application))


def _image_step(made: dict[str, tuple[int, int]]) -> Step:
    def action(session: Session, say: Callable[[str], None]) -> None:
        for image in build_images(session, (), None, say, repository=lambda: signed_repository(session)):
            made[f"{image.flavour} image"] = (int(not image.cached), 1)

    need = lambda session: need_for_build(session, (), None)  # noqa: E731
    return Step("images", "Make images", action, root=True, need=need)


def _index_step(made: dict[str, tuple[int, int]]) -> Step:
    def action(session: Session, say: Callable[[str], None]) -> None:
        made.update({f"{one.tag} of all": (int(not one.cached), 1) for one in join_built(session, say)})

    return Step("index", "Put images together", action)


_MAKERS: Mapping[Carrier, Callable[[_Run], None]] = {
    Carrier.SDIST: _sdists,
    Carrier.WHEEL: _wheels,
    Carrier.RPM: _rpms,
    Carrier.IMAGE: _images,
}

"""The command line. Only this module ends the process, and only here does an error become text."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never, TypeVar

import typer
from rich.console import Console

from elpack import __version__
from elpack.errors import DiskFullError, ElpackError, InterruptedRunError, Problem
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.pipeline import Session
    from elpack.plan.model import NodeId

T = TypeVar("T")

app = typer.Typer(
    name="elpack",
    help="Turn a Python application and its uv.lock into Enterprise Linux packages.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ReleaseFile = Annotated[Path, typer.Option("--file", "-f", help="The release file.", show_default=True)]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help="A target of the release file; else the first that can be reached.")
]
Arch = Annotated[str, typer.Option(help="Architecture; else this machine's.")]
BuilderName = Annotated[str, typer.Option("--builder", help="auto, mock or bwrap.")]
Workers = Annotated[int, typer.Option(help="Builds at the same time; 0: one per core.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="After a failure, build what does not depend on it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Take what was fetched before; connect to nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:  # noqa: FBT002
    if version:
        print(f"elpack {__version__}")  # noqa: T201
        raise typer.Exit


@app.command("rpm-all", epilog="Example: elpack rpm-all --target el9-standin")
def rpm_all(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    builder: BuilderName = "auto",
    workers: Workers = 0,
    keep_going: KeepGoing = False,  # noqa: FBT002
    offline: Offline = False,  # noqa: FBT002
    quiet: Quiet = False,  # noqa: FBT002
) -> None:
    """Fetch, plan, build, check, make the repository, install in a clean root, smoke-test."""
    session = _session(file, target, arch, builder, workers, keep_going, offline, quiet)
    _carry_out(session, "install")
    _summary(session)


@app.command(epilog="Example: elpack rpm --keep-going")
def rpm(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    builder: BuilderName = "auto",
    workers: Workers = 0,
    keep_going: KeepGoing = False,  # noqa: FBT002
    offline: Offline = False,  # noqa: FBT002
    quiet: Quiet = False,  # noqa: FBT002
) -> None:
    """Build all RPMs and the repository, without installing them."""
    session = _session(file, target, arch, builder, workers, keep_going, offline, quiet)
    _carry_out(session, "repository")
    _summary(session)


@app.command(epilog="Example: elpack smoke --target el9-standin")
def smoke(
    file: ReleaseFile = Path("elpack.toml"), target: TargetName = "", arch: Arch = "", quiet: Quiet = False
) -> None:  # noqa: FBT002
    """Install what is built into a clean root and smoke-test it; builds only what is missing."""
    session = _session(file, target, arch, "auto", 0, False, False, quiet)
    _carry_out(session, "install")
    _smoke_table(session)


@app.command(epilog="Example: elpack plan --target el9 --json | jq '.packages[].rpm'")
def plan(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    offline: Offline = False,  # noqa: FBT002
    everything: Annotated[bool, typer.Option("--all", help="Show the build roots' own packages, too.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Show what would be built, from which file, and why."""
    from elpack.report.tables import plan_json, plan_table
    from elpack.steps.base import existing_base

    session = _session(file, target, arch, "auto", 0, False, offline, as_json)
    _carry_out(session, "plan")
    assert session.plan is not None  # noqa: S101
    assert session.target is not None  # noqa: S101
    cached = _cached(session, existing_base(session.target, session.workspace))
    if as_json:
        _print_json(plan_json(session.plan, cached))
    else:
        _stdout().print(plan_table(session.plan, cached, everything=everything))


@app.command(epilog="Example: elpack check")
def check(
    file: ReleaseFile = Path("elpack.toml"), target: TargetName = "", arch: Arch = "", offline: Offline = False
) -> None:  # noqa: FBT002
    """Check the release file, the overrides, both locks and the whole set, for every target or the named one."""
    from elpack.steps.buildlock import check_build_lock
    from elpack.steps.gather import read_project

    workspace = _workspace(file)
    project = _guarded(lambda: read_project(workspace))
    names = [target] if target else [choice.name for choice in project.release.targets]
    for choice in project.release.targets:
        if choice.name in names:
            for one in [arch] if arch else choice.arches:
                session = _session(file, choice.name, one, "auto", 0, False, offline, False)
                _carry_out(session, "plan")
    _guarded(lambda: check_build_lock(project, workspace, offline=offline))
    _stdout().print("nothing is wrong")


@app.command(epilog="Example: elpack spec --out /tmp/specs")
def spec(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    out: Annotated[Path | None, typer.Option(help="Write all specs there instead.")] = None,
    offline: Offline = False,  # noqa: FBT002
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a committed spec differs.")
    ] = False,  # noqa: FBT002
    quiet: Quiet = False,  # noqa: FBT002
) -> None:
    """Write the spec files of the first-party packages into specs/<target>/, or all of them elsewhere."""
    from elpack.steps.specs import write_specs

    session = _session(file, target, arch, "auto", 0, False, offline, quiet)
    _carry_out(session, "plan")
    count = _guarded(lambda: write_specs(session, out, compare=compare))
    if not quiet:
        _stdout().print(f"{count} specs {'are as committed' if compare else 'written'}")


@app.command(epilog="Example: elpack lock")
def lock(file: ReleaseFile = Path("elpack.toml"), quiet: Quiet = False) -> None:  # noqa: FBT002
    """Resolve the build requirements anew and write pylock.build.toml."""
    from elpack.run import run
    from elpack.steps.buildlock import renew_build_lock
    from elpack.steps.gather import read_project

    workspace = _workspace(file)
    count = _guarded(lambda: renew_build_lock(read_project(workspace), workspace, run))
    if not quiet:
        _stdout().print(f"{workspace.build_lock.name} serves {count} sdists")


@app.command(epilog="Example: elpack standin")
def standin(file: ReleaseFile = Path("elpack.toml"), arch: Arch = "", quiet: Quiet = False) -> None:  # noqa: FBT002
    """Make the stand-in EL9 base from Debian's packages, once."""
    from elpack.pipeline import PIPELINE, need_tools
    from elpack.steps.base import base, choose_target
    from elpack.steps.gather import read_project

    session = _session(file, "el9-standin", arch, "auto", 0, False, False, quiet)

    def make() -> None:
        need_tools([step for step in PIPELINE if step.name == "base"])
        project = read_project(session.workspace)
        target, _ = choose_target(project.release, "el9-standin", arch)
        with session.screen.phase("Stand-in EL9") as say:
            made = base(target, session.workspace, say)
            say(made.repositories[0].location)

    _guarded(make)


@app.command(epilog="Example: elpack doctor")
def doctor() -> None:
    """Say which programs the steps need and which of them are missing here."""
    from elpack.report.doctor import doctor_table, missing_tools

    _stdout().print(doctor_table())
    _guarded(missing_tools)


@app.command(epilog="Example: elpack clean --downloads")
def clean(
    file: ReleaseFile = Path("elpack.toml"),
    downloads: Annotated[bool, typer.Option("--downloads", help="Remove what was downloaded as well.")] = False,  # noqa: FBT002
) -> None:
    """Remove what was built: results, store, roots, stand-in. Downloads are kept."""
    from elpack.steps.clean import clean_up

    _guarded(lambda: clean_up(_workspace(file), downloads=downloads))


def main() -> None:
    """Run the command line. Exit codes: 0, 2 for wrong usage, and those of `elpack.errors`."""
    app()


def _workspace(file: Path) -> Workspace:
    home = file.resolve().parent
    return Workspace(file.resolve(), home / ".elpack", home / "dist")


def _session(  # noqa: PLR0917 - one place that turns options into a session
    file: Path,
    target: str,
    arch: str,
    builder: str,
    workers: int,
    keep_going: bool,  # noqa: FBT001
    offline: bool,  # noqa: FBT001
    quiet: bool,  # noqa: FBT001
) -> Session:
    from elpack.pipeline import Options, Session
    from elpack.report.terminal import Terminal

    options = Options(target, arch, builder, workers, keep_going, offline)
    return Session(_workspace(file), options, Terminal(_stderr(), quiet=quiet))


def _carry_out(session: Session, last: str) -> None:
    from elpack.pipeline import carry_out

    _guarded(lambda: carry_out(session, last))


def _guarded(action: Callable[[], T]) -> T:
    """Run an action; an error becomes its text and its exit code. Nothing else in elpack ends the process."""
    try:
        return action()
    except ElpackError as error:
        _fail(error)
    except KeyboardInterrupt:
        _fail(InterruptedRunError(Problem("stopped; the next run goes on from what is finished")))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail(DiskFullError(Problem("no space left", where=str(error.filename or ""), fix="free some, then run again")))


def _fail(error: ElpackError) -> Never:
    console = _stderr()
    console.print(f"[bold red]error:[/] {error.title}", highlight=False)
    for problem in error.problems:
        console.print(f"• {problem}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(error.exit_code)


def _cached(session: Session, base: str) -> frozenset[NodeId]:
    from elpack.pipeline import make_build
    from elpack.steps.base import Base

    if not base:
        return frozenset()
    session.base = Base((), base)
    return frozenset(make_build(session).predict())


def _summary(session: Session) -> None:
    from elpack.report.tables import summary

    _stdout().print(summary(session))
    _smoke_table(session)
    _stdout().print(f"repository: {session.repository}\nmanifest:   {session.output / 'manifest.json'}", soft_wrap=True)


def _smoke_table(session: Session) -> None:
    from elpack.report.tables import smoke_table

    if session.smoke is not None:
        _stdout().print(smoke_table(session.smoke))


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))  # noqa: T201


def _stdout() -> Console:
    return Console(soft_wrap=not sys.stdout.isatty())


def _stderr() -> Console:
    return Console(stderr=True, soft_wrap=not sys.stderr.isatty())

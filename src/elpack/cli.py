"""The command line. Only this module ends the process, and only here does an error become text."""

from __future__ import annotations

import errno
import functools
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never, ParamSpec

import typer

from elpack import __version__
from elpack.errors import ElpackError, InterruptedRunError, Problem, from_os
from elpack.report.console import console_on, print_json, show, stdout
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.pipeline import Session
    from elpack.plan.model import NodeId

P = ParamSpec("P")

WIDE = 160
"""Columns from which on the plan is one line per package."""
_LONGEST_BUG = 300

app = typer.Typer(
    name="elpack",
    help="Turn a Python application and its uv.lock, or a library, into Enterprise Linux packages.",
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
LayoutName = Annotated[str, typer.Option("--layout", "-l", help="stack, bundle or system; else the release's own.")]
BuilderName = Annotated[str, typer.Option("--builder", help="auto, mock or bwrap.")]
Distribution = Annotated[
    str, typer.Option(help="mock's EL9: centos-stream-9, alma-9, rocky-9 or rhel-9, each also with +epel.")
]
Workers = Annotated[int, typer.Option(min=0, help="Builds at the same time; 0: one per core, as far as memory goes.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="After a failure, build what does not depend on it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Take what was fetched before; connect to nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def _guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Let an error of a command become its text and its exit code. Nothing else in elpack ends the process."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ElpackError as error:
            _fail(error)
        except KeyboardInterrupt:
            _fail(InterruptedRunError(Problem("stopped; the next run goes on from what is finished")))
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # who reads us has seen enough; typer ends us quietly
            if isinstance(error, OSError) and (known := from_os(error)):
                _fail(known)
            file = kwargs.get("file")
            _crash(error, _workspace(file if isinstance(file, Path) else Path("elpack.toml")).work)

    return guarded


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"elpack {__version__}")  # noqa: T201
        raise typer.Exit


def _builds_up_to(last: str) -> Callable[..., None]:
    """Return a command that runs the pipeline to its step `last`."""

    @_guarded
    def command(
        file: ReleaseFile = Path("elpack.toml"),
        target: TargetName = "",
        arch: Arch = "",
        layout: LayoutName = "",
        builder: BuilderName = "auto",
        distribution: Distribution = "",
        workers: Workers = 0,
        keep_going: KeepGoing = False,
        offline: Offline = False,
        quiet: Quiet = False,
    ) -> None:
        from elpack.pipeline import carry_out

        session = _session(
            file,
            target=target,
            arch=arch,
            layout=layout,
            builder=builder,
            distribution=distribution,
            workers=workers,
            keep_going=keep_going,
            offline=offline,
            quiet=quiet,
        )
        carry_out(session, last)
        if not quiet:
            _summary(session)

    return command


app.command(
    "rpm-all",
    help="Do it all: plan, build, install in a clean root, smoke-test.",
    epilog="Example: elpack rpm-all --target el9-standin",
)(_builds_up_to("install"))

app.command(
    "rpm",
    help="Build all RPMs and the repository, without installing them.",
    epilog="Example: elpack rpm --keep-going",
)(_builds_up_to("repository"))


@app.command(epilog="Example: elpack smoke --target el9-standin")
@_guarded
def smoke(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    quiet: Quiet = False,
) -> None:
    """Install what is built into a clean root and smoke-test it; builds only what is missing."""
    from elpack.pipeline import carry_out

    session = _session(file, target=target, arch=arch, layout=layout, again=True, quiet=quiet)
    carry_out(session, "install")
    if not quiet:
        _smoke_table(session)


@app.command(epilog="Example: elpack plan --target el9 --json | jq '.packages[].rpm'")
@_guarded
def plan(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    offline: Offline = False,
    everything: Annotated[bool, typer.Option("--all", help="Show the build roots' own packages, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what would be built, from which file, and why."""
    from elpack.pipeline import carry_out
    from elpack.report.tables import plan_json, plan_table
    from elpack.steps.base import existing_base

    session = _session(file, target=target, arch=arch, layout=layout, offline=offline, quiet=as_json)
    carry_out(session, "plan")
    cached = _cached(session, existing_base(session.target, session.workspace))
    if as_json:
        print_json(plan_json(session.plan, cached))
    else:
        show(plan_table(session.plan, cached, everything=everything, narrow=stdout().width < WIDE))


@app.command(epilog="Example: elpack check")
@_guarded
def check(
    file: ReleaseFile = Path("elpack.toml"), target: TargetName = "", arch: Arch = "", offline: Offline = False
) -> None:
    """Check the release file, the overrides, both locks and the whole set: every layout for every target."""
    from elpack.pipeline import carry_out
    from elpack.steps.project import read_project

    release = read_project(_workspace(file)).release
    arches = {choice.name: choice.arches for choice in release.targets}
    failed: list[ElpackError] = []
    for name in [target] if target else arches:
        for one in [arch] if arch else arches.get(name, ("",)):
            for layout in release.layouts:
                try:
                    carry_out(_session(file, target=name, arch=one, layout=layout, offline=offline), "plan")
                except ElpackError as error:
                    failed.append(error)
    if failed:
        raise type(failed[0])(*dict.fromkeys(problem for error in failed for problem in error.problems))
    show("nothing is wrong")


@app.command(epilog="Example: elpack spec --out /tmp/specs")
@_guarded
def spec(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    layout: LayoutName = "",
    out: Annotated[Path | None, typer.Option(help="Write all specs of one layout there instead.")] = None,
    offline: Offline = False,
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a committed spec differs.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write the first-party packages' spec files of every layout into specs/<target>/, or all of one elsewhere."""
    from elpack.pipeline import carry_out
    from elpack.steps.project import read_project
    from elpack.steps.specs import write_specs

    layouts = (layout,) if layout or out else read_project(_workspace(file)).release.layouts
    sessions = [_session(file, target=target, arch=arch, layout=one, offline=offline, quiet=quiet) for one in layouts]
    for session in sessions:
        carry_out(session, "plan")
    count = write_specs(sessions, out, compare=compare)
    if not quiet:
        show(f"{count} specs {'are as committed' if compare else 'written'}")


@app.command(epilog="Example: elpack lock")
@_guarded
def lock(file: ReleaseFile = Path("elpack.toml"), quiet: Quiet = False) -> None:
    """Resolve the build requirements anew and write pylock.build.toml."""
    from elpack.run import run
    from elpack.steps.buildlock import renew_build_lock
    from elpack.steps.project import read_project

    workspace = _workspace(file)
    count = renew_build_lock(read_project(workspace), workspace, run)
    if not quiet:
        show(f"{workspace.build_lock.name} {_sdists(count)}")


@app.command(epilog="Example: elpack init ../shop")
@_guarded
def init(
    directory: Annotated[Path, typer.Argument(help="The project's folder, with its pyproject.toml.")] = Path(),
    lock_later: Annotated[bool, typer.Option("--no-lock", help="Write no build lock; elpack lock does it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the elpack.toml and the build lock of a project: an application with its uv.lock, or a library."""
    from elpack.report.init import next_text, written_text
    from elpack.run import run
    from elpack.steps.buildlock import renew_build_lock
    from elpack.steps.init import init as write
    from elpack.steps.project import read_project

    workspace = _workspace(directory / "elpack.toml")
    written = write(workspace, run)
    if not quiet:
        show(written_text(written, str(directory / workspace.file.name)))
    if not lock_later:
        count = renew_build_lock(read_project(workspace), workspace, run)
        if not quiet:
            show(f"{directory / workspace.build_lock.name} {_sdists(count)}")
    if not quiet:
        show(next_text(str(directory), locked=not lock_later))


@app.command(epilog="Example: elpack standin")
@_guarded
def standin(file: ReleaseFile = Path("elpack.toml"), arch: Arch = "", quiet: Quiet = False) -> None:
    """Make the stand-in EL9 base from Debian's packages, once."""
    from elpack.pipeline import PIPELINE, need_tools
    from elpack.steps.base import base, choose_target
    from elpack.steps.project import read_project

    session = _session(file, target="el9-standin", arch=arch, quiet=quiet)
    need_tools([step for step in PIPELINE if step.name == "base"], standin=True)
    target, _ = choose_target(read_project(session.workspace).release, "el9-standin", arch)
    with session.screen.phase("Make the stand-in EL9") as say:
        made = base(target, session.workspace, say)
        say(target.title)
    show(made.repositories[0].location)


@app.command(epilog="Example: elpack doctor")
@_guarded
def doctor() -> None:
    """Say which programs the steps need and which of them are missing here."""
    from elpack.report.doctor import doctor_table, missing_tools

    show(doctor_table())
    missing_tools()


@app.command(epilog="Example: elpack clean --downloads")
@_guarded
def clean(
    file: ReleaseFile = Path("elpack.toml"),
    downloads: Annotated[bool, typer.Option("--downloads", help="Remove what was downloaded as well.")] = False,
) -> None:
    """Remove what was built: results, store, roots, stand-in. Downloads are kept."""
    from elpack.steps.clean import clean_up

    clean_up(_workspace(file), downloads=downloads)


def main() -> None:
    """Run the command line. Exit codes: 0, 2 for wrong usage, and those of `elpack.errors`."""
    app()


def _workspace(file: Path) -> Workspace:
    home = file.resolve().parent
    return Workspace(file.resolve(), home / ".elpack", home / "dist")


def _session(
    file: Path,
    *,
    target: str = "",
    arch: str = "",
    layout: str = "",
    builder: str = "auto",
    distribution: str = "",
    workers: int = 0,
    keep_going: bool = False,
    offline: bool = False,
    again: bool = False,
    quiet: bool = False,
) -> Session:
    from elpack.pipeline import Options, Session
    from elpack.report.terminal import Terminal

    options = Options(target, arch, layout, builder, distribution, workers, keep_going, offline, again)
    return Session(_workspace(file), options, Terminal(console_on(sys.stderr), quiet=quiet))


def _fail(error: ElpackError) -> Never:
    console = console_on(sys.stderr)
    console.print(f"[bold red]error:[/] {error.title}", highlight=False)
    for problem in error.problems:
        console.print(f"• {problem}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(error.exit_code)


def _crash(error: Exception, work: Path) -> Never:
    """Put the traceback of a bug where its reporter finds it, and only say so."""
    text = "".join(traceback.format_exception(error))
    log = work / "crash.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
    except OSError:
        log = Path(tempfile.mkstemp(prefix="elpack-crash-", suffix=".log")[1])
        log.write_text(text)
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_BUG]
    console_on(sys.stderr).print(f"error: a bug in elpack ({what}); please report it with {log}", markup=False)
    sys.exit(ElpackError.exit_code)


def _cached(session: Session, base: str) -> frozenset[NodeId]:
    from elpack.pipeline import make_build
    from elpack.steps.base import Base

    if not base:
        return frozenset()
    session.base = Base((), base)
    return frozenset(make_build(session).predict())


def _summary(session: Session) -> None:
    from elpack.report.tables import summary

    show(summary(session))
    _smoke_table(session)
    show(f"repository: {session.repository}\nmanifest:   {session.output / 'manifest.json'}")


def _smoke_table(session: Session) -> None:
    from elpack.report.tables import smoke_table

    if session.smoke is not None:
        show(smoke_table(session.smoke))


def _sdists(count: int) -> str:
    return f"serves {count} {'sdist' if count == 1 else 'sdists'}"

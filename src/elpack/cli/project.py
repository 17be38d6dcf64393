"""The commands around a project and this machine: lock, init, standin, doctor, clean."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import Arch, Quiet, ReleaseFile, session_of, workspace_of
from elpack.errors import ConfigError
from elpack.report.console import show

commands = typer.Typer()


@commands.command(epilog="Example: elpack lock")
@guarded
def lock(file: ReleaseFile = Path("elpack.toml"), quiet: Quiet = False) -> None:
    """Resolve the build requirements anew and write pylock.build.toml; PyPy's and that of wheels where needed."""
    from elpack.run import run
    from elpack.steps.alone import alone
    from elpack.steps.buildlock import renew_build_lock
    from elpack.steps.project import read_project
    from elpack.steps.wheels.build import renew_for_wheels
    from elpack.steps.wheels.lock import LOCK as WHEELS_LOCK

    workspace = workspace_of(file)
    project = read_project(workspace)
    with_pypy = project.release.images is not None and project.release.images.for_pypy()
    with alone(workspace):
        counts = {workspace.build_lock.name: renew_build_lock(project, workspace, run)}
        if with_pypy:
            counts[workspace.pypy_lock.name] = renew_build_lock(project, workspace, run, pypy=True)
        if project.release.wheels is not None and (count := renew_for_wheels(project, workspace, run)):
            counts[WHEELS_LOCK] = count
    if not quiet:
        show("\n".join(f"{name} {_sdists(count)}" for name, count in counts.items()))


@commands.command(epilog="Example: elpack init ../shop")
@guarded
def init(
    directory: Annotated[Path, typer.Argument(help="The project's folder, with its pyproject.toml.")] = Path(),
    lock_later: Annotated[bool, typer.Option("--no-lock", help="Write no build lock; elpack lock does it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the elpack.toml and the build lock of a project: an application with its uv.lock, or a library."""
    from elpack.report.init import next_text, written_text
    from elpack.run import run
    from elpack.steps.alone import alone
    from elpack.steps.buildlock import renew_build_lock
    from elpack.steps.init import init as write
    from elpack.steps.project import read_project

    workspace = workspace_of(directory / "elpack.toml")
    written = write(workspace, run)
    if not quiet:
        show(written_text(written, str(directory / workspace.file.name)))
    if not lock_later:
        with alone(workspace):
            count = renew_build_lock(read_project(workspace), workspace, run)
        if not quiet:
            show(f"{directory / workspace.build_lock.name} {_sdists(count)}")
    if not quiet:
        show(next_text(str(directory), locked=not lock_later))


@commands.command(epilog="Example: elpack standin")
@guarded
def standin(file: ReleaseFile = Path("elpack.toml"), arch: Arch = "", quiet: Quiet = False) -> None:
    """Make the stand-in EL9 base from Debian's packages, once."""
    from elpack.pipeline import PIPELINE, need_tools
    from elpack.steps.alone import alone
    from elpack.steps.base import base, choose_target
    from elpack.steps.project import read_project

    session = session_of(file, target="el9-standin", arch=arch, quiet=quiet)
    need_tools([step for step in PIPELINE if step.name == "base"], standin=True)
    target, _ = choose_target(read_project(session.workspace).release, "el9-standin", arch)
    with alone(session.workspace), session.screen.phase("Make the stand-in EL9") as say:
        made = base(target, session.workspace, say)
        say(target.title)
    show(made.repositories[0].location)


@commands.command(epilog="Example: elpack doctor")
@guarded
def doctor(file: ReleaseFile = Path("elpack.toml")) -> None:
    """Say which programs the steps need and which of them are missing here, and how other architectures are built."""
    from elpack.report.doctor import doctor_table, missing_tools
    from elpack.steps.project import read_project

    # it looks at the machine, in any folder, whatever mistakes a release file has
    release = None
    with suppress(ConfigError):
        release = read_project(workspace_of(file)).release
    show(doctor_table(release))
    missing_tools()


@commands.command(epilog="Example: elpack clean --downloads")
@guarded
def clean(
    file: ReleaseFile = Path("elpack.toml"),
    downloads: Annotated[bool, typer.Option("--downloads", help="Remove what was downloaded as well.")] = False,
) -> None:
    """Remove what was built: results, store, roots, stand-in. Downloads are kept."""
    from elpack.steps.clean import clean_up

    clean_up(workspace_of(file), downloads=downloads)


def _sdists(count: int) -> str:
    return f"serves {count} {'sdist' if count == 1 else 'sdists'}"

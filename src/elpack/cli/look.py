"""The commands that look and do not build: plan, check, spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    Json,
    LayoutName,
    Offline,
    Quiet,
    ReleaseFile,
    TargetName,
    WayName,
    session_of,
    workspace_of,
)
from elpack.errors import ElpackError
from elpack.report.console import print_json, show, stdout

if TYPE_CHECKING:
    from elpack.plan.model import NodeId
    from elpack.session import Session

WIDE = 160
"""Columns from which on the plan is one line per package."""

commands = typer.Typer()


@commands.command(epilog="Example: elpack plan --target el9 --json | jq '.packages[].rpm'")
@guarded
def plan(
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    way: WayName = None,
    layout: LayoutName = "",
    offline: Offline = False,
    everything: Annotated[bool, typer.Option("--all", help="Show the build roots' own packages, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what would be built, from which file, and why."""
    from elpack.pipeline import carry_out, plan_home
    from elpack.report.tables import plan_json, plan_table
    from elpack.steps.sides import ways_of

    session = session_of(file, target=target, arch=arch, layout=layout, offline=offline, quiet=as_json, way=way)
    carry_out(session, "plan")
    plan_home(session)
    ways, cached = ways_of(session), _cached(session)
    words = ways.words if ways else {}
    if as_json:
        print_json(plan_json(session.plan, cached, words))
    else:
        show(plan_table(session.plan, cached, words, everything=everything, narrow=stdout().width < WIDE))
        if ways:
            show(ways.notice)


@commands.command(epilog="Example: elpack check")
@guarded
def check(
    file: ReleaseFile = Path("elpack.toml"), target: TargetName = "", arch: Arch = "", offline: Offline = False
) -> None:
    """Check the release file, the overrides, both locks and the whole set: every layout for every target."""
    from elpack.pipeline import carry_out
    from elpack.steps.project import read_project

    release = read_project(workspace_of(file)).release
    arches = {choice.name: choice.arches for choice in release.targets}
    failed: list[ElpackError] = []
    for name in [target] if target else arches:
        for one in [arch] if arch else arches.get(name, ("",)):
            for layout in release.layouts:
                try:
                    carry_out(session_of(file, target=name, arch=one, layout=layout, offline=offline), "plan")
                except ElpackError as error:
                    failed.append(error)
    if failed:
        raise type(failed[0])(*dict.fromkeys(problem for error in failed for problem in error.problems))
    show("nothing is wrong")


@commands.command(epilog="Example: elpack spec --out /tmp/specs")
@guarded
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

    layouts = (layout,) if layout or out else read_project(workspace_of(file)).release.layouts
    sessions = [session_of(file, target=target, arch=arch, layout=one, offline=offline, quiet=quiet) for one in layouts]
    for session in sessions:
        carry_out(session, "plan")
    count = write_specs(sessions, out, compare=compare)
    if not quiet:
        show(f"{count} specs {'are as committed' if compare else 'written'}")


def _cached(session: Session) -> frozenset[NodeId]:
    from elpack.steps.base import Base, existing_base
    from elpack.steps.sides import predict, sides_for

    for side in sides_for(session):
        digest = existing_base(side.target, side.workspace)
        if not digest:
            return frozenset()
        side.base = Base((), digest)
    return predict(session)

"""The command that says whether results are what they are said to be, and whether a second build gives the same."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elpack.cli.guard import guarded
from elpack.cli.options import (
    Arch,
    BuilderName,
    DistFolder,
    Distribution,
    Json,
    LayoutName,
    Offline,
    Quiet,
    ReleaseFile,
    TargetName,
    WayName,
    WorkFolder,
    session_of,
)
from elpack.report.console import print_json, show

if TYPE_CHECKING:
    from elpack.errors import VerifyError
    from elpack.session import Session
    from elpack.steps.otherwise import Otherwise
    from elpack.steps.rebuild import Places, Second
    from elpack.workspace import Workspace

commands = typer.Typer()


@commands.command(epilog="Example: elpack verify --rebuild txaio idna")
@guarded
def verify(
    dists: Annotated[list[str] | None, typer.Argument(help="--rebuild: only these are built again.")] = None,
    file: ReleaseFile = Path("elpack.toml"),
    target: TargetName = "",
    arch: Arch = "",
    way: WayName = None,
    layout: LayoutName = "",
    builder: BuilderName = "auto",
    distribution: Distribution = "",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build again, otherwise, and compare.")] = False,
    rebuild_in: Annotated[
        Path | None, typer.Option(help="Folder for that, such as one on another file system.", metavar="DIR")
    ] = None,
    offline: Offline = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Expect no signatures.")] = False,
    work: WorkFolder = None,
    dist: DistFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether the results are what the manifest says, or, with --rebuild, whether building again gives the same."""
    session = session_of(
        file,
        target=target,
        arch=arch,
        way=way,
        layout=layout,
        builder=builder,
        distribution=distribution,
        offline=offline,
        unsigned=True,
        work=work,
        dist=dist,
        quiet=quiet or as_json,
    )
    if rebuild:
        _rebuild(session, dists or [], rebuild_in, as_json=as_json, quiet=quiet)
    elif dists or rebuild_in:
        raise typer.BadParameter("dists and --rebuild-in belong to --rebuild")
    else:
        _verify(session, unsigned=unsigned, as_json=as_json, quiet=quiet)


def _verify(session: Session, *, unsigned: bool, as_json: bool, quiet: bool) -> None:
    from elpack.errors import VerifyError
    from elpack.manifest import named
    from elpack.report.verify import verified_json, verified_text
    from elpack.steps.project import read_project
    from elpack.steps.verify import verify as verified

    release, options, dist = read_project(session.workspace).release, session.options, session.workspace.dist
    trusted = [key for key in (release.signing.key, *release.signing.also_trusted) if key]
    found, problems = {}, []
    for folder in named(dist, options.target, options.arch, options.layout, VerifyError):
        place = str(folder.relative_to(dist))
        try:
            found[place] = verified(folder, trusted, unsigned=unsigned, runner=session.runner, url=release.publish.url)
        except VerifyError as error:
            problems += [replace(problem, where=f"{place}: {problem.where}") for problem in error.problems]
    if problems:
        raise VerifyError(*problems)
    if as_json:
        print_json({place: verified_json(one) for place, one in found.items()})
    elif not quiet:
        show("\n".join(f"{place}: {verified_text(one, own_key=bool(trusted))}" for place, one in found.items()))


def _rebuild(session: Session, dists: list[str], inside: Path | None, *, as_json: bool, quiet: bool) -> None:
    from elpack.report.verify import difference_table, rebuild_json, rebuild_lines
    from elpack.steps.rebuild import places

    with places(session.workspace, inside, session.runner) as found:
        second = _built_again(session, dists, found)
        differences = second.comparison.differences
        if as_json:
            print_json(rebuild_json(second))
        elif differences or not quiet:
            show(rebuild_lines(second))
        if differences:
            if not as_json:
                show(difference_table(second.comparison))
            raise _explained(session, second)


def _built_again(session: Session, dists: list[str], found: Places) -> Second:
    """Lay out the results of the store as it is, build again, and compare."""
    from elpack.pipeline import carry_out
    from elpack.steps.compare import compare
    from elpack.steps.rebuild import Second, build_again, named_nodes, seed, varied

    own = session.workspace
    session.workspace = replace(own, dist=found.first)
    carry_out(session, "repository")
    place = session.output.relative_to(found.first)
    again = named_nodes(session.plan, dists)
    with session.screen.phase(f"Build {len(again)} packages again, otherwise") as say:
        start = time.monotonic()
        way, arguments = _way(session, own, found)
        seed(own, found.work, session.results, again)
        build_again(arguments, way, found, own.dist / place / "logs" / "rebuild" / "rebuild.log", session.runner)
        comparison = compare(found.first / place, found.second / place)
        say(f"{comparison.count} artefacts, {len(comparison.differences)} differ")
    variations = varied(way, own, found, found.second / place / "logs" / "build")
    session.workspace = own
    return Second(found, place, comparison, variations, len(again), time.monotonic() - start)


def _way(session: Session, own: Workspace, found: Places) -> tuple[Otherwise, tuple[str, ...]]:
    """Return what is otherwise, and the arguments that are not."""
    from elpack.builders.choose import choose_builder
    from elpack.steps.otherwise import Here, otherwise
    from elpack.steps.sides import default_workers

    target, options, bases = session.target, session.options, session.base.repositories
    name = choose_builder(options.builder, target, bases, own.work, distribution=options.distribution).builder.name
    way = otherwise(
        Here.look(session.runner),
        found.home / "environment",
        options.workers or default_workers(),
        own_clock=target.standin,
        builds_clock="" if name == "bwrap" else f"the builder {name} cannot preload a library",
        runner=session.runner,
    )
    words = ["--file", str(own.file), "--target", target.name, "--arch", target.arch, "--layout", session.layout]
    words += ["--builder", name, "--unsigned"]
    words += ["--way", options.way] if options.way else []
    words += ["--distribution", options.distribution] if options.distribution else []
    # all that is fetched has been fetched; a real EL's own repositories are asked again
    words += ["--offline"] if target.standin or options.offline else []
    return way, tuple(words)


def _explained(session: Session, second: Second) -> VerifyError:
    """Let diffoscope explain the differences, keep both builds' results, and return the error that tells all."""
    from elpack.errors import Problem, VerifyError
    from elpack.steps.compare import explain, inside
    from elpack.steps.rebuild import keep

    logs = session.workspace.dist / second.place / "logs" / "rebuild"
    differences = second.comparison.differences
    first, other = second.results
    reports = explain(differences, first, other, logs, session.runner)
    keep(second.places)
    kept = f"compare {first} and {other}"
    problems = []
    for one in differences:
        what = f"the second build gave another {one.kind}" if one.first and one.second else "only one build gave it"
        report = reports.get(one.name)
        fix = f"see {report}" if report else "" if reports else f"install diffoscope, which explains it, or {kept}"
        why = inside(first / one.name, other / one.name, session.runner)
        problems.append(Problem(what, where=one.name, why=why, fix=fix))
    return VerifyError(*problems)

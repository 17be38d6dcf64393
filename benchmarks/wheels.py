"""RPMs from wheels: elpack's way beside a loop of plain specs, one rpmbuild each, in the same build root."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Cost, measured, progress
from benchmarks.plain_spec import plain_spec
from benchmarks.project import planned
from benchmarks.table import Table
from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.environment import MACROS as BUILD_MACROS
from elpack.builders.environment import TOPDIR
from elpack.builders.sandbox import sandboxed
from elpack.builders.staging import stage
from elpack.plan.packages import MACROS
from elpack.report.terminal import Silent
from elpack.run import Command
from elpack.run import run as run_command
from elpack.steps.build import WHEELS_AT_ONCE, Build
from elpack.store import Store
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.project import Settings
    from elpack.builders.roots import CleanRoot
    from elpack.pipeline import Session
    from elpack.plan.model import NodeId, Package

PIP = "buildroot/pip"
PIP_LEVEL = 3
WORKERS = 2
NOTES = (
    "Payload: 9 is what macros.elpack asks for, 3 the stand-in's default and what its RPMs have, 19 EL9's default.",
    "Plain loop: one root for all; per wheel one rpmbuild -ba, pip install, the default generators and brp scripts.",
    "lean: without the brp scripts, which strip libraries and compile once more with -O, as elpack's specs are.",
    f"elpack: the RPM of its macros first, then clean roots for up to {WHEELS_AT_ONCE} wheels, {WORKERS} at a time.",
    "Both: the base root is there already, dnf and the sandboxes count. MB: binary and source RPMs together.",
)
# one rpmbuild after the other, as a packager's script would do it; a failure does not stop it
LOOP = """\
for spec in {topdir}/SPECS/*.spec; do
    echo "=== $spec"
    rpmbuild --quiet {defines} -ba "$spec" || echo "FAILED $(basename "$spec" .spec)"
done
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a way of building cost, and what came of it."""

    cost: Cost
    rpms: int
    bytes: int
    failed: tuple[str, ...] = ()


def run(settings: Settings) -> Table:
    session = planned(settings, "base")
    wheels = settings.first([p for p in session.plan.published() if p.template == "wheel.spec.j2"])
    work = settings.work / "wheels"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    bench = _Bench(session, settings.work / "bwrap", work, compiled=settings.compiled)
    bench.prepare()
    progress("pip, for the plain loop")
    bench.elpack([session.plan.by_node()[PIP]], "pip")
    table = Table(
        "wheels",
        f"{len(wheels)} wheels of {session.plan.release} for {settings.target} made RPMs and source RPMs",
        ("way", "payload", "RPMs", "CPU s", "CPU s each", "wall s", "MB", "CPU vs plain loop"),
        notes=[*NOTES],
    )
    for level in settings.levels:
        progress(f"level {level}")
        plain = bench.plain(wheels, level)
        lean = bench.plain(wheels, level, lean=True)
        own = bench.elpack(wheels, f"elpack-{level}", level)
        table.rows += [
            _row("plain loop", level, plain, plain),
            _row("plain loop, lean", level, lean, plain),
            _row("elpack", level, own, plain),
        ]
        if plain.failed:
            table.notes.append(f"the plain loop, level {level}, failed on {', '.join(plain.failed)}")
    python = "with" if settings.compiled else "without"
    table.notes.append(f"Python's own modules in the build roots came {python} byte code.")
    if settings.out:
        shutil.copytree(work / "out", settings.out, dirs_exist_ok=True)
    return table


def _row(way: str, level: int, outcome: Outcome, plain: Outcome) -> tuple[Any, ...]:
    cpu, rpms = outcome.cost.cpu, outcome.rpms
    ratio = cpu / rpms / (plain.cost.cpu / plain.rpms)
    progress(f"{way}: {cpu:.1f} CPU s for {rpms} RPMs, {ratio:.2f} of the plain loop")
    return way, f"w{level}.zstdio", rpms, cpu, cpu / rpms, outcome.cost.wall, outcome.bytes / 1e6, ratio


@dataclass(frozen=True, slots=True)
class _Bench:
    session: Session
    bwrap: Path
    work: Path
    compiled: bool

    def builder(self, extra: tuple[Repository, ...] = ()) -> BwrapBuilder:
        target = self.session.target
        if self.compiled:
            target = replace(target, buildroot=(*target.buildroot, target.python_rpm))
        return BwrapBuilder(target, self.session.base.repositories, self.bwrap, extra=extra)

    def prepare(self) -> None:
        """Make the base root; if asked for, with the byte code of Python's own modules."""
        base = self.builder().roots().base()
        if self.compiled:
            library = f"/usr/lib/python{self.session.target.python}"
            inside = ("bwrap", "--bind", str(base), "/", "--dev", "/dev", "--proc", "/proc", "--")
            # some of its tests' modules are not meant to be compiled
            run_command(Command((*inside, self.session.target.interpreter, "-m", "compileall", "-q", library)))

    def elpack(self, packages: Sequence[Package], name: str, level: int = PIP_LEVEL) -> Outcome:
        """Build as `elpack rpm` does, with an empty store; the level is set in the specs."""
        session, folder = self.session, self.work / name
        nodes = {MACROS, *(package.node for package in packages)}
        prefix = f"%global _binary_payload w{level}.zstdio\n"
        specs: dict[NodeId, str] = {node: prefix + session.specs[node] for node in nodes}
        build = Build(
            plan=replace(session.plan, packages=tuple(p for p in session.plan.packages if p.node in nodes)),
            specs=specs,
            sources=session.gathered.paths,
            store=Store(folder / "store"),
            base=session.base.digest,
            builder=self.builder,
            work=folder / "building",
            logs=folder / "logs",
            watcher=Silent(),
            workers=WORKERS,
        )
        with measured() as cost:
            results = build.run()
        wanted = [results[package.node] for package in packages]
        files = [path for result in wanted for path in (*result.rpms, result.srpm)]
        self._keep(files, name)
        return Outcome(cost, len(wanted), sum(path.stat().st_size for path in files))

    def plain(self, packages: Sequence[Package], level: int, *, lean: bool = False) -> Outcome:
        """Build the same wheels with specs as a packager would write them, one rpmbuild after the other."""
        folder = self.work / f"{'lean' if lean else 'plain'}-{level}"
        pip = self._pip(folder / "pip")
        builder = self.builder((pip,))
        python = self.session.target.python
        jobs = [self._job(package, folder, lean=lean) for package in packages]
        with measured() as cost, builder.roots().clean_root() as root:
            _stage_all(jobs, root)
            requires = [f"python{python}-devel", f"python{python}-pip"]
            builder._all().install(root.path, requires, folder / "root.log", "the plain loop")  # noqa: SLF001
            macros = {**BUILD_MACROS, "_binary_payload": f"w{level}.zstdio"}
            defines = " ".join(f"--define '{name} {value}'" for name, value in macros.items())
            script = LOOP.format(topdir=TOPDIR, defines=defines)
            log = folder / "loop.log"
            run_command(sandboxed(root, ("sh", "-c", script), log)).check()
            built = _results(root, folder / "rpms")
        lines = log.read_text(errors="replace").splitlines()
        failed = tuple(line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED "))
        self._keep([*built, log], folder.name)
        rpms = sum(not path.name.endswith(".src.rpm") for path in built)
        done = [path for path in built if not any(path.name.startswith(f"{name}-") for name in failed)]
        return Outcome(cost, rpms, sum(path.stat().st_size for path in done), failed)

    def _job(self, package: Package, folder: Path, *, lean: bool) -> BuildJob:
        source = package.sources[0]
        facts = self.session.gathered.inputs.facts[source.sha256]
        name, text = plain_spec(package, facts, self.session.target.python, lean=lean)
        spec = folder / f"{name}.spec"
        spec.write_text(text)
        own = folder / "sources" / source.filename
        own.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.session.gathered.paths[source.sha256], own)
        return BuildJob(name, spec, (own,), (), folder / f"{name}.log")

    def _pip(self, folder: Path) -> Repository:
        folder.mkdir(parents=True)
        for path in (self.work / "out" / "pip").glob("*.rpm"):
            if not path.name.endswith(".src.rpm"):
                os.link(path, folder / path.name)
        create_repository(folder)
        return Repository("pip", str(folder), priority=1)

    def _keep(self, files: Sequence[Path], name: str) -> None:
        into = self.work / "out" / name
        into.mkdir(parents=True)
        for path in files:
            os.link(path, into / path.name)


def _stage_all(jobs: Sequence[BuildJob], root: CleanRoot) -> None:
    """Lay out one rpmbuild tree with all specs and wheels."""
    first = replace(jobs[0], sources=tuple(source for job in jobs for source in job.sources))
    root.builddir.mkdir(exist_ok=True)
    stage(first, root.builddir)
    specs = root.builddir / "build" / "SPECS"
    for job in jobs[1:]:
        shutil.copyfile(job.spec, specs / job.spec.name)


def _results(root: CleanRoot, into: Path) -> list[Path]:
    into.mkdir()
    build = root.builddir / "build"
    return [
        shutil.copyfile(path, into / path.name)
        for place in ("RPMS", "SRPMS")
        for path in sorted((build / place).rglob("*.rpm"))
    ]

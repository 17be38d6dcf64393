"""Builds packages of another architecture in roots of this one: a cross compiler beside a root that nothing runs of."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from elpack.builders import unheard
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.environment import ENVIRONMENT
from elpack.builders.inside import Inside
from elpack.builders.limits import Mechanism
from elpack.builders.roots import Roots
from elpack.builders.sysroot import Sysroot, interpreters, settings
from elpack.cross import judge, pretence
from elpack.errors import BuildError, ForeignArchError, PrivilegeError, Problem
from elpack.run import Command, run
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from elpack.builders import BuildJob, Built, Finished, Repository
    from elpack.cross.toolchain import Toolchain
    from elpack.model import Target
    from elpack.run import Runner

_FORMAT = "1"
"""Raise it when the same input is compiled in another way than before."""

_LOG_END = 200_000
"""Bytes at a log's end that may tell why a build failed."""

_QUERY = "[%{FILECLASS}\\t%{FILENAMES}\\n]"
"""What file(1) says comes first: a name may hold anything."""


@dataclass(frozen=True, slots=True)
class CrossBuilder:
    """A `Builder` for `target` on a machine whose own architecture is that of `home`, the same target otherwise.

    A build runs in a root of `home`: what its spec requires comes there from home_repositories and home_extra, the
    compiler from compilers. Beside it lies a sysroot: what the spec requires once more, from repositories and extra,
    of the target's architecture. work, runner, preload, mechanism: see `BwrapBuilder`.

    What %check imports is not run, see `judge.imports_left`; its other checks are.
    """

    target: Target
    home: Target
    repositories: tuple[Repository, ...]
    home_repositories: tuple[Repository, ...]
    compilers: tuple[Repository, ...]
    toolchain: Toolchain
    work: Path
    runner: Runner = run
    extra: tuple[Repository, ...] = ()
    home_extra: tuple[Repository, ...] = ()
    preload: Path | None = None
    mechanism: Mechanism = field(default_factory=Mechanism.here)

    @property
    def name(self) -> str:
        """Return the builder's name."""
        return "cross"

    def digest(self) -> str:
        """Return what a result depends on beside the spec, its sources and the plan's packages in both roots."""
        parts = [
            _FORMAT,
            self._sysroots().digest(),
            self._native(Inside()).roots().digest(),
            repr(replace(self.toolchain, caveat="")),
        ]
        texts = {**self._texts((), ()), **pretence.links(self.toolchain), **pretence.environment(self.toolchain, "")}
        parts += [f"{name}\0{text}" for name, text in sorted(texts.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def build(self, jobs: Sequence[BuildJob], out: Path, finished: Finished = unheard) -> tuple[Built, ...]:
        """Build the jobs; see `Builder.build`.

        Raises `ForeignArchError` as well, for what cannot be cross-compiled, before the build or after it.
        """
        for job in jobs:
            _refuse(job.name, job.requires)
        if os.geteuid() != 0:
            raise PrivilegeError(Problem("a cross build needs root to make build roots", fix="run it with sudo"))

        def judged(built: Built) -> None:
            self._judge(built)
            finished(built)

        with self._sysroot(jobs) as sysroot:
            native = self._native(self._inside(sysroot))
            try:
                return native.build([replace(job, arch=job.arch or self.target.arch) for job in jobs], out, judged)
            except BuildError as error:
                raise _explained(jobs, error) from error

    def _native(self, inside: Inside) -> BwrapBuilder:
        """Return the builder of this machine's own architecture, whose base root has the cross compiler."""
        home = replace(self.home, buildroot=(*self.home.buildroot, *self.toolchain.packages))
        repositories = (*self.home_repositories, *self.compilers)
        return BwrapBuilder(
            home, repositories, self.work, self.runner, self.home_extra, self.preload, self.mechanism, inside
        )

    def _sysroots(self) -> Roots:
        return Roots(self._dnf(self.repositories), self.target.buildroot, self.work / "sysroots", self.runner)

    def _dnf(self, repositories: tuple[Repository, ...]) -> Dnf:
        work = self.work / "sysroots" / "dnf"
        release = str(self.target.el)
        return Dnf(repositories, self.target.arch, release, work, BuildError, self.runner, scriptlets=False)

    @contextmanager
    def _sysroot(self, jobs: Sequence[BuildJob]) -> Iterator[Sysroot]:
        """Give the root that a build on the other architecture would have. Nothing runs in it."""
        requires = sorted({requirement for job in jobs for requirement in job.requires})
        dnf, log = self._dnf((*self.repositories, *self.extra)), jobs[0].log.with_suffix(".sysroot.log")
        log.unlink(missing_ok=True)
        with self._sysroots().clean_root() as root:
            where = f"the sysroot of {', '.join(job.name for job in jobs)}"
            sysroot = Sysroot(root.path, dnf, log, where, root.home / "files")
            try:
                sysroot.add(requires)
                yield sysroot
            finally:
                dnf.forget(self.extra)

    def _inside(self, sysroot: Sysroot) -> Inside:
        """Return what the build finds beside its root: the sysroot, compilers by their plain names, settings."""
        files = sysroot.files
        self._write(files, sysroot)
        variables = pretence.environment(self.toolchain, ENVIRONMENT["PATH"])
        again = "the same command builds it again; the log says what it ran"

        def asked(requires: Sequence[str]) -> None:
            _refuse(sysroot.where, requires)
            sysroot.add(requires)

        return Inside(self._paths(files, sysroot), variables, again, asked)

    def _write(self, files: Path, sysroot: Sysroot) -> None:
        for folder in (files, files / "bin"):
            folder.mkdir()
            folder.chmod(0o755)
        for name, text in self._texts(sysroot.libraries(), sysroot.cxx_headers()).items():
            (files / name).write_text(text, encoding="utf-8")
            (files / name).chmod(0o755 if name.startswith("bin/") else 0o644)
        for name, to in pretence.links(self.toolchain).items():
            (files / "bin" / name).symlink_to(to)

    def _texts(self, libraries: Sequence[str], cxx: Sequence[str]) -> dict[str, str]:
        wrappers = pretence.wrappers(self.toolchain, libraries, cxx)
        return {
            **{f"bin/{name}": text for name, text in wrappers.items()},
            "toolchain.cmake": pretence.cmake_toolchain(self.toolchain),
            "macros": pretence.rpm_macros(self.toolchain),
            "machine.pth": pretence.machine_name(self.toolchain),
        }

    def _paths(self, files: Path, sysroot: Sysroot) -> dict[str, Path]:
        python = f"python{self.target.python}"
        paths = {
            pretence.SYSROOT: sysroot.path,
            pretence.FILES: files,
            "/usr/lib/rpm/macros.d/macros.zz-elpack-cross": files / "macros",
            f"/usr/lib/{python}/site-packages/elpack-cross.pth": files / "machine.pth",
        }
        own = settings(sysroot.path, python)
        home = own.parent.relative_to(sysroot.path)
        paths[f"/{home}/{pretence.SYSCONFIG}.py"] = own
        base = self._native(Inside()).roots().base()
        for other in interpreters(base) - {home}:
            text = files / f"sysconfig-{other.name}.py"
            text.write_text(pretence.sysconfig(settings(base, other.name).stem), encoding="utf-8")
            paths[f"/{other}/{pretence.SYSCONFIG}.py"] = text
        return paths

    def _judge(self, built: Built) -> None:
        """Raise `ForeignArchError` when a result is not of the target's architecture, or asks for more than it has."""
        name, arch = built.job.name, self.target.arch
        problems: list[Problem] = []
        for rpm in built.rpms:
            query = ("rpm", "--query", "--package", "--nosignature", "--queryformat", _QUERY, str(rpm))
            lines = self.runner(Command(query)).check().stdout.splitlines()
            files = (line.partition("\t") for line in lines)
            problems += judge.wrong_files(name, arch, ((path, kind) for kind, _, path in files))
        for header in read_headers(built.rpms, self.runner):
            problems += judge.too_new(name, self.target.glibc, header.requires)
        if problems:
            shutil.rmtree(built.srpm.parent, ignore_errors=True)
            raise ForeignArchError(*problems)


def _refuse(name: str, requires: Sequence[str]) -> None:
    problems = tuple(judge.obstacles(name, requires))
    if problems:
        raise ForeignArchError(*problems)


def _explained(jobs: Sequence[BuildJob], error: BuildError) -> BuildError | ForeignArchError:
    """Return the error, or the one that says that it is for the way that the package was built."""
    for job in jobs:
        if job.log.exists():
            with job.log.open("rb") as file:
                file.seek(max(0, job.log.stat().st_size - _LOG_END))
                why = judge.reason(file.read().decode(errors="replace"))
            if why:
                return ForeignArchError(*(replace(one, why=why, fix=judge.FIX) for one in error.problems))
    return error

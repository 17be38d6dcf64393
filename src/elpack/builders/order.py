"""A build as it is sent to a worker, and what the worker answers: values to parcels and back, nothing believed."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING

from elpack import __version__
from elpack.builders import BuildJob
from elpack.builders.dynamic import is_package
from elpack.builders.parcel import OtherVersionError, is_file_name, receive_files, receive_head, send
from elpack.config.builds import Limits
from elpack.errors import Problem
from elpack.model import ARCHES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elpack.builders.parcel import Head
    from elpack.tables import Table

JOB, ANSWER = "the job from the other end", "the worker's answer"

_SPEC, _SOURCE, _RPM = "spec", "source", "rpm"
_MOST_SENT = 16 << 30
"""Bytes of all that a job brings along."""
_MOST_LIMIT = 1 << 50
_MOST_REQUIRES = 10_000
_MOST_TOLD = 40
_LONGEST_TOLD = 8000
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is asked to build, and for which target: its base is to have this digest there as well.

    job: its paths are those of the machine that reads this. rpms: what its root may draw from beside the base.
    """

    target: str
    python: str
    arch: str
    base: str
    job: BuildJob
    rpms: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """An order that has been read as far as its files."""

    target: str
    python: str
    arch: str
    base: str
    name: str
    rpm_arch: str
    dist: str
    requires: tuple[str, ...]
    limits: Limits
    head: Head

    def job(self, stream: IO[bytes], into: Path, log: Path) -> tuple[BuildJob, tuple[Path, ...]]:
        """Read the files, and return the job with the RPMs that its root may draw from. Raises as `receive_files`."""
        files = receive_files(stream, self.head, into)
        (spec,) = files[_SPEC]
        sources = files.get(_SOURCE, ())
        job = BuildJob(self.name, spec, sources, self.requires, log, self.dist, self.limits, arch=self.rpm_arch)
        return job, files.get(_RPM, ())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no result. failed: the package did not build; else the worker did not even try."""

    failed: bool
    problems: tuple[Problem, ...]


def send_order(stream: IO[bytes], order: Order) -> None:
    """Write what a worker is to build."""
    job = order.job
    values = {
        "elpack": __version__,
        "target": order.target,
        "python": order.python,
        "arch": order.arch,
        "base": order.base,
        "name": job.name,
        "rpm_arch": job.arch or order.arch,
        "dist": job.dist,
        "requires": list(job.requires),
        "limits": asdict(job.limits),
    }
    files = [(_SPEC, job.spec), *((_SOURCE, path) for path in job.sources)]
    send(stream, values, [*files, *((_RPM, path) for path in sorted(order.rpms))])


def receive_order(stream: IO[bytes]) -> Asked:
    """Read what is to be built, but for its files. Raises as `receive_head`, with all that nobody may ask for."""
    head = receive_head(stream, JOB, _MOST_SENT, (_SPEC, _SOURCE, _RPM))
    values = head.values
    _check_version(values)
    target, python, arch, base, name, rpm_arch, dist = (
        values.get(key, str) for key in ("target", "python", "arch", "base", "name", "rpm_arch", "dist")
    )
    requires = values.strings("requires")
    limits = _limits(values.table("limits"))
    if not is_file_name(name):
        values.problem("name", f"{name[:99]!r} is no name of a package")
    if not _DIGEST.match(base):
        values.problem("base", "expected a sha256")
    for key, found in (("arch", arch), ("rpm_arch", rpm_arch)):
        if found not in ARCHES:
            values.problem(key, f"unknown architecture {found[:99]!r}", fix=f"one of: {', '.join(ARCHES)}")
    wrong = [require for require in requires if not is_package(require)]
    for require in wrong[:_MOST_TOLD]:
        values.problem("requires", f"{require[:200]!r} is no package")
    if len(requires) > _MOST_REQUIRES:
        values.problem("requires", f"more than {_MOST_REQUIRES} of them")
    _check_files(head)
    head.done()
    return Asked(target, python, arch, base, name, rpm_arch, dist, requires, limits, head)


def send_built(stream: IO[bytes], arch: str, base: str, files: Sequence[Path]) -> None:
    """Write what was built, the source package first."""
    values = {"elpack": __version__, "arch": arch, "base": base, "built": True}
    send(stream, values, [(_RPM, path) for path in files])


def send_refusal(stream: IO[bytes], refusal: Refusal) -> None:
    """Write why nothing was built."""
    told = [
        {key: text[:_LONGEST_TOLD] for key, text in asdict(problem).items()}
        for problem in refusal.problems[:_MOST_TOLD]
    ]
    send(stream, {"elpack": __version__, "built": False, "failed": refusal.failed, "problems": told}, ())


def receive_answer(stream: IO[bytes], order: Order, into: Path) -> Refusal | None:
    """Read what a worker made of an order into a folder, None, or why it made nothing.

    Raises as `receive_head` and `receive_files`, and `ArchiveError` for an answer to another order.
    """
    head = receive_head(stream, ANSWER, order.job.limits.disk, (_RPM,))
    values = head.values
    _check_version(values)
    if not values.get("built", bool):
        refusal = Refusal(values.get("failed", bool), tuple(_problem(one) for one in values.tables("problems")))
        head.done()
        return replace(refusal, problems=refusal.problems[:_MOST_TOLD])
    for key, wanted in (("arch", order.arch), ("base", order.base)):
        found = values.get(key, str)
        if found != wanted:
            values.problem(key, f"expected {wanted}, found {found[:99]!r}")
    for item in head.items:
        if not item.name.endswith(".rpm"):
            values.problem("files", f"{item.name!r} is no RPM")
    head.done()
    receive_files(stream, head, into)
    return None


def _check_version(values: Table) -> None:
    version = values.get("elpack", str)
    if version != __version__:
        raise OtherVersionError(version[:99])


def _problem(table: Table) -> Problem:
    what, where, why, fix = (table.get(key, str)[:_LONGEST_TOLD] for key in ("what", "where", "why", "fix"))
    table.done()
    return Problem(what, where, why, fix)


def _limits(table: Table) -> Limits:
    found = {name: table.get(name, int) for name in ("memory", "disk", "log", "processes", "time")}
    for name, amount in found.items():
        if not (name == "memory" or amount > 0) or not 0 <= amount <= _MOST_LIMIT:
            table.problem(name, f"{amount} is no limit")
    table.done()
    return Limits(**found)


def _check_files(head: Head) -> None:
    specs = [item for item in head.items if item.role == _SPEC]
    if len(specs) != 1 or not specs[0].name.endswith(".spec"):
        head.values.problem("files", "expected one spec")
    for item in head.items:
        if item.role == _RPM and (not item.name.endswith(".rpm") or item.name.endswith(".src.rpm")):
            head.values.problem("files", f"{item.name!r} is no RPM to install")

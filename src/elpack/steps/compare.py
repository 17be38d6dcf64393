"""Compares the results of two builds, file by file, and lets diffoscope explain what differs."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import CommandError
from elpack.listed import kind_of
from elpack.manifest import handed_over
from elpack.run import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.run import Runner

_EXPLAINED = 20
"""How many differences diffoscope is asked about; most follow from the first ones."""
_PATIENCE = 300.0
_NAMED = 8
_CAUSES = ("spec", "buildroot-rpm", "buildroot-srpm", "srpm", "rpm", "debug-rpm")


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of a build's results: its name is the path below their folder."""

    kind: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that the second build gave otherwise. An empty digest: that build did not give it at all."""

    kind: str
    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many files of each kind were compared, and which of them differ, causes before what follows from them."""

    kinds: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def count(self) -> int:
        """Return how many files were compared."""
        return sum(self.kinds.values())


def compare(first: Path, second: Path) -> Comparison:
    """Compare two folders of results, logs left out. The folder that a .repo file names is no difference."""
    ours, theirs = artefacts(first), artefacts(second)
    kinds = Counter(artefact.kind for artefact in {**theirs, **ours}.values())
    found = [
        Difference(known.kind, name, _digest(ours.get(name)), _digest(theirs.get(name)))
        for name, known in {**theirs, **ours}.items()
        if ours.get(name) != theirs.get(name)
    ]
    return Comparison(dict(sorted(kinds.items())), tuple(sorted(found, key=_cause_first)))


def artefacts(output: Path) -> dict[str, Artefact]:
    """Return all files of a build's results by their path below it, logs left out."""
    found = {}
    for name, path in handed_over(output).items():
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".repo":
                data = data.replace(bytes(output), b"<folder>")
            found[name] = Artefact(kind_of(name), name, hashlib.sha256(data).hexdigest())
    return found


def explain(
    differences: Iterable[Difference], first: Path, second: Path, reports: Path, runner: Runner
) -> dict[str, Path]:
    """Write diffoscope's reports of the first differences, and return them by name; none where it is not installed."""
    if shutil.which("diffoscope") is None:
        return {}
    written = {}
    both = [difference for difference in differences if difference.first and difference.second]
    for difference in both[:_EXPLAINED]:
        report = reports / f"{difference.name.replace('/', '_')}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        argv = ("diffoscope", "--no-progress", "--text", str(report))
        pair = (str(first / difference.name), str(second / difference.name))
        try:
            runner(Command((*argv, *pair), timeout=_PATIENCE))
        except CommandError as error:  # it did not end in time
            report.write_text(f"{error}\n")
        if report.exists():
            written[difference.name] = report
    return written


def inside(first: Path, second: Path, runner: Runner) -> str:
    """Return in which files two RPMs differ, a few of them; an empty string for what is no RPM that rpm can read."""
    if first.suffix != ".rpm" or not (first.is_file() and second.is_file()):
        return ""
    ours, theirs = _held(first, runner), _held(second, runner)
    names = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if not names:
        return "the files in it are the same; its header is not" if ours else ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"in it differ {', '.join(names[:_NAMED])}{more}"


def _held(rpm: Path, runner: Runner) -> dict[str, str]:
    """Return mode, owners, time, goal of a link and digest of each file of an RPM."""
    form = (
        "[%{FILENAMES}\x1f%{FILEMODES} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMTIMES} %{FILELINKTOS} %{FILEDIGESTS}\n]"
    )
    done = runner(Command(("rpm", "--query", "--package", "--nosignature", "--queryformat", form, str(rpm))))
    return dict(line.partition("\x1f")[::2] for line in done.stdout.splitlines())


def _digest(artefact: Artefact | None) -> str:
    return artefact.sha256 if artefact else ""


def _cause_first(difference: Difference) -> tuple[int, str]:
    order = _CAUSES.index(difference.kind) if difference.kind in _CAUSES else len(_CAUSES)
    return order, difference.name

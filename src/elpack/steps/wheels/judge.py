"""Judges wheels and sdists: reads them, asks the field's own judges, applies the rules. Nothing of them is run."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.archives import read_sdist
from elpack.archives.members import Gate, Kind, Refusals
from elpack.archives.streams import walk
from elpack.archives.wheel_content import read_wheel_content
from elpack.errors import ArchiveError, Problem, WheelError
from elpack.model import Sha256
from elpack.wheels.judge import judge_wheel, tag_of
from elpack.wheels.judge_sdist import judge_sdist
from elpack.wheels.judgement import NOT_BINARY, Finding, Judgement, SdistContent, Severity, Verdicts
from elpack.wheels.sdist_files import compare_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from elpack.steps.wheels.judges import Judges
    from elpack.wheels.judgement import WheelContent
    from elpack.wheels.sdist_files import Tracked

ENDINGS = (".whl", ".tar.gz", ".zip")


@dataclass(frozen=True, slots=True)
class Bench:
    """What a judgement needs: the judges, their policies, the folder of what was made here, and known checkouts.

    checkouts: what git tracks of a dist's checkout, by the dist's normalised name.
    """

    judges: Judges
    policies: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    own: Path | None = None
    checkouts: Mapping[str, Tracked] = field(default_factory=dict)

    def judge(self, paths: Sequence[Path], progress: Callable[[str], None] = lambda _: None) -> tuple[Judgement, ...]:
        """Return the judgement of each file, by the order of their names."""
        paths = sorted(set(paths), key=lambda path: (path.name, str(path)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            read = dict(zip(paths, pool.map(_read, paths), strict=True))
            wheels = tuple(one for one in read.values() if not isinstance(one, ArchiveError | SdistContent))

            def one(path: Path) -> Judgement:
                progress(path.name)
                return self._judge(path, read[path], wheels)

            return tuple(pool.map(one, paths))

    def _judge(
        self, path: Path, content: WheelContent | SdistContent | ArchiveError, wheels: tuple[WheelContent, ...]
    ) -> Judgement:
        own = self.own is not None and path.resolve().is_relative_to(self.own.resolve())
        if isinstance(content, ArchiveError):
            return _unreadable(path, content)
        if isinstance(content, SdistContent):
            return self._sdist(path, content, wheels, own=own)
        verdicts = Verdicts(
            audit=self.judges.audit(path) if content.linked else None,
            abi3=self.judges.abi3(path) if content.linked and _is_abi3(content) else None,
            twine=self.judges.twine(path),
            policies=self.policies,
        )
        return judge_wheel(content, verdicts, own=own)

    def _sdist(self, path: Path, content: SdistContent, wheels: tuple[WheelContent, ...], *, own: bool) -> Judgement:
        from packaging.utils import canonicalize_name

        tracked = self.checkouts.get(canonicalize_name(content.facts.metadata.name))
        sdist = SdistContent(
            facts=content.facts,
            times=content.times,
            wheels=wheels,
            checkout=compare_files(tracked, content.files) if tracked else None,
        )
        return judge_sdist(sdist, Verdicts(twine=self.judges.twine(path)), own=own)


def found_in(places: Iterable[Path]) -> list[Path]:
    """Return the wheels and sdists that files and folders name. Raises `WheelError` for what is neither or missing."""
    found: list[Path] = []
    problems: list[Problem] = []
    for place in places:
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.is_file() and path.name.endswith(ENDINGS))
            found += inside
            if not inside:
                problems.append(Problem("there is no wheel and no sdist in it", str(place)))
        elif not place.is_file():
            problems.append(Problem("there is no such file", str(place), fix="build wheels by: elpack wheel build"))
        elif not place.name.endswith(ENDINGS):
            problems.append(Problem("its name is not that of a wheel or an sdist", str(place)))
        else:
            found.append(place)
    if problems:
        raise WheelError(*problems)
    return found


def approve(wheel: Path, judges: Judges, policies: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
    """Judge a wheel that was just made, before anybody gets it. Raises `WheelError` with every error."""
    refuse(Bench(judges, policies, wheel.parent).judge([wheel]))


def refuse(judgements: Iterable[Judgement]) -> None:
    """Raise `WheelError` with every error that was found."""
    problems = [problem for one in judgements for problem in one.problems]
    if problems:
        raise WheelError(*problems)


def _read(path: Path) -> WheelContent | SdistContent | ArchiveError:
    try:
        if path.name.endswith(".whl"):
            return read_wheel_content(path)
        return _read_sdist(path)
    except ArchiveError as error:
        return error


def _read_sdist(path: Path) -> SdistContent:
    with path.open("rb") as file:
        facts = read_sdist(path, Sha256(hashlib.file_digest(file, "sha256").hexdigest()))
    gate = Gate(Refusals(path.name), path.stat().st_size)
    files = [member for member, _ in walk(path, gate) if member.kind is not Kind.FOLDER]
    gate.finish()
    below = len(facts.folder) + 1
    return SdistContent(
        facts, frozenset(file.mtime for file in files), files=frozenset(file.name[below:] for file in files)
    )


def _unreadable(path: Path, error: ArchiveError) -> Judgement:
    kind = "wheel" if path.name.endswith(".whl") else "sdist"
    findings = tuple(Finding("archive", Severity.ERROR, problem) for problem in error.problems)
    tag = tag_of(path.name) if kind == "wheel" else ""
    pure = tag.endswith("-any") or kind == "sdist"
    return Judgement(path.name, kind, tag, "", NOT_BINARY if pure else "refused unread", findings, {"record": "failed"})


def _is_abi3(wheel: WheelContent) -> bool:
    named = any(tag.split("-")[1] == "abi3" for tag in wheel.tags)
    return named or any(path.endswith(".abi3.so") for path in wheel.linked)

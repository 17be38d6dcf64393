"""Tries wheels and sdists: each package on each interpreter that is here, in a clean environment without network."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from elpack.archives import extract_sdist, read_sdist, read_wheel
from elpack.atomic import write_text
from elpack.builders.emulation import patience
from elpack.errors import ElpackError, Problem, WheelError
from elpack.manifest import digest_of
from elpack.model import Sha256
from elpack.steps.wheels.environment import Environment
from elpack.steps.wheels.manifest import MANIFEST, entries, write_manifest
from elpack.steps.wheels.requirements import Pinned
from elpack.wheels.columns import fitting_tags
from elpack.wheels.trial import Origin, Part, State, Suite, Trial, imports_of, suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.tags import Tag

    from elpack.model import SdistFacts, WheelFacts
    from elpack.steps.wheels.interpreters import Found
    from elpack.steps.wheels.requirements import Locked, Needs

RESULTS = "tests.json"
_GONE = re.compile(r"ModuleNotFoundError: No module named '(?P<top>\w+)[\w.]*'\Z")
_SHOWN = 5
_SECONDS = 60
"""How long a command may take to answer, where it is not emulated."""


@dataclass(frozen=True, slots=True)
class Material:
    """What there is of one package: its wheels, and its sdist."""

    package: NormalizedName
    wheels: tuple[Path, ...] = ()
    sdist: Path | None = None

    def wheel_for(self, python: Found, glibc: tuple[int, int]) -> Path | None:
        """Return the wheel that an installer would take on an interpreter, None when none fits."""
        ranks = fitting_tags(python.column, glibc)
        ranked = [(_rank(path, ranks), path.name, path) for path in self.wheels]
        fitting = [one for one in ranked if one[0] is not None]
        return min(fitting, default=(None, "", None))[2]


@dataclass(frozen=True, slots=True)
class Trials:
    """Tries packages. glibc: this machine's; suites: run the packages' own tests as well."""

    locked: Locked
    glibc: tuple[int, int]
    suites: bool = True

    def run(
        self,
        materials: Sequence[Material],
        pythons: Mapping[str, Found | None],
        progress: Callable[[str], None] = lambda _: None,
        keep: Callable[[Trial], None] = lambda _: None,
    ) -> tuple[Trial, ...]:
        """Return a trial for each package, origin and interpreter; None stands for an interpreter that is not here.

        keep: gets each as soon as it ended, so that a run that is broken off loses none of them.
        """
        found = []
        for material in materials:
            for tag, python in pythons.items():
                for origin in Origin:
                    progress(f"{material.package} from its {origin} on {tag}")
                    found.append(self._one(material, origin, tag, python, materials))
                    keep(found[-1])
        return tuple(found)

    def _one(
        self, material: Material, origin: Origin, tag: str, python: Found | None, all_of_them: Sequence[Material]
    ) -> Trial:
        if python is None:
            return Trial(material.package, origin, tag, "", "", "", reason="the interpreter is not here")
        own = {
            other.package: _pinned(other.package, wheel)
            for other in all_of_them
            if other.package != material.package and (wheel := other.wheel_for(python, self.glibc))
        }
        file = material.wheel_for(python, self.glibc) if origin is Origin.WHEEL else material.sdist
        reason, name = "", file.name if file else ""
        try:
            if file is None:
                reason = f"no {origin} of it is here that fits"
            elif reason := self._on_demand(file):
                pass
            else:
                wheel = file if origin is Origin.WHEEL else self.locked.built(file, _digest(file), python)
                needs = self.locked.needs(material.package, python, own)
                return self._tried(material, origin, python, wheel, file, needs)
        except ElpackError as error:
            first = error.problems[0]
            reason = f"what it needs cannot be had: {first.where}: {first.what}"
        arch = python.column.arch
        return Trial(material.package, origin, tag, python.version, name, "", reason=reason, arch=arch)

    def _on_demand(self, file: Path) -> str:
        """Return why an sdist is not built now, "" when it is, and for wheels."""
        if file.name.endswith(".whl") or self.locked.compile:
            return ""
        facts = read_sdist(file, _digest(file))
        return f"it is compiled on demand only (--compile). {facts.native}" if facts.native else ""

    def _tried(  # noqa: PLR0917 - what one trial is made of
        self,
        material: Material,
        origin: Origin,
        python: Found,
        wheel: Path,
        file: Path,
        needs: Needs,
    ) -> Trial:
        facts = read_wheel(wheel, _digest(wheel))
        parts: list[Part] = []
        environment = None
        try:
            environment = Environment.fresh(self.locked.sandbox, python)
            environment.install([*needs.files.values(), _pinned(material.package, wheel)])
            parts.append(Part("install", State.PASSED, f"{len(needs.files)} requirements"))
            parts.append(_requirements(environment.unmet(), needs.lacking))
            parts += _imported(environment, facts, needs.lacking)
            if self.suites and not any(part.state is State.FAILED for part in parts):
                parts.append(self._suite(environment, material, facts, python))
        except ElpackError as error:
            name = "imports" if parts else "install"
            parts.append(Part(name, State.FAILED, error.problems[0].what))
        finally:
            if environment:
                environment.remove()
        return Trial(
            material.package,
            origin,
            python.tag,
            python.version,
            file.name,
            _digest(file),
            tuple(parts),
            needs.lacking,
            arch=python.column.arch,
        )

    def _suite(self, environment: Environment, material: Material, wheel: WheelFacts, python: Found) -> Part:
        if material.sdist is None:
            return Part("suite", State.SKIPPED, "there is no sdist here, whose tests could be run")
        sdist = read_sdist(material.sdist, _digest(material.sdist))
        paths = [file.path for file in wheel.files]
        unpacked = extract_sdist(material.sdist, environment.space())
        inside = [str(path.relative_to(unpacked)) for path in sorted(unpacked.rglob("*.py"))]
        suite = suite_of(inside, paths)
        if not suite.inside and not suite.outside:
            return Part("suite", State.SKIPPED, "neither its sdist nor its wheel holds tests")
        needs = self.locked.testing(_wanted(sdist, self.locked.dists(python)), python)
        if "pytest" not in needs.files:
            return Part("suite", State.SKIPPED, "the application's lock has no pytest that runs here")
        try:
            environment.install(needs.files.values())
            return _suite_part(environment, suite, unpacked)
        except ElpackError as error:
            return Part("suite", State.FAILED, error.problems[0].what)


def materials_of(files: Sequence[Path], more: Mapping[NormalizedName, Path], only: Sequence[str]) -> list[Material]:
    """Return what there is of each package, sorted. more: sdists of the release, where no file is one.

    Raises `WheelError` for a name that is none of them, and for files that are not named as wheels and sdists are.
    """
    wheels: dict[NormalizedName, list[Path]] = {}
    sdists = dict(more)
    problems = []
    for path in files:
        try:
            if path.name.endswith(".whl"):
                wheels.setdefault(parse_wheel_filename(path.name)[0], []).append(path)
            else:
                sdists[parse_sdist_filename(path.name)[0]] = path
        except (InvalidWheelFilename, InvalidSdistFilename) as error:
            fix = "give it the name that its backend gave it; that of a wheel has its tags, too"
            problems.append(Problem(str(error), str(path), fix=fix))
    if problems:
        raise WheelError(*problems)
    names = sorted({*wheels, *sdists})
    wanted = {canonicalize_name(one) for one in only}
    if unknown := sorted(wanted - set(names)):
        known = ", ".join(names) or "none"
        raise WheelError(
            *(Problem(f"there is neither a wheel nor an sdist of {one}", fix=f"one of: {known}") for one in unknown)
        )
    return [
        Material(name, tuple(wheels.get(name, ())), sdists.get(name)) for name in names if not wanted or name in wanted
    ]


def remember(trials: Sequence[Trial], folder: Path) -> None:
    """Write the results beside the wheels, and into their manifest; those of other packages and interpreters stay."""
    path = folder / RESULTS
    known = {_key(one): one for one in recalled(folder)}
    known |= {one.key: one.as_json() for one in trials}
    folder.mkdir(parents=True, exist_ok=True)
    tests = [known[key] for key in sorted(known)]
    write_text(path, json.dumps({"trials": tests}, indent=2, sort_keys=True) + "\n")
    if (folder / MANIFEST).exists():
        write_manifest(folder, entries(folder), entries(folder, "missing"), tests)


def recalled(folder: Path) -> list[dict[str, Any]]:
    """Return the results of before; a file that is damaged holds none."""
    try:
        value = json.loads((folder / RESULTS).read_text())
    except (OSError, ValueError, RecursionError):
        return []
    entries = value.get("trials", []) if isinstance(value, dict) else []
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def refuse_failed(trials: Sequence[Trial]) -> None:
    """Raise `WheelError` with every trial that failed; a suite's failures are told, and refuse nothing."""
    problems = [
        Problem(
            f"{part.name}: {part.detail}",
            f"{trial.file} on {trial.interpreter} ({trial.python})",
            fix=f"mend the package, or tell its maintainers; all that was tried is in {RESULTS} beside the wheels",
        )
        for trial in trials
        if trial.state is State.FAILED
        for part in trial.parts
        if part.state is State.FAILED and part.name != "suite"
    ]
    if problems:
        raise WheelError(*problems)


def _key(entry: Mapping[str, Any]) -> str:
    return " ".join(str(entry.get(name, "")) for name in ("package", "origin", "interpreter", "arch", "file"))


def _requirements(unmet: str, lacking: Mapping[str, str]) -> Part:
    if lacking:
        return Part("requirements", State.SKIPPED, f"not there: {', '.join(sorted(lacking))}")
    return Part("requirements", State.FAILED, unmet) if unmet else Part("requirements", State.PASSED)


def _imported(environment: Environment, wheel: WheelFacts, lacking: Mapping[str, str]) -> Iterator[Part]:
    imports = imports_of(wheel)
    scripts = [one.name for one in wheel.console_scripts]
    seconds = _SECONDS * patience(environment.python.column.arch)
    answer = environment.ask({"imports": imports, "scripts": scripts, "seconds": seconds})
    broken = {name: str(why) for name, why in answer.get("imports", {}).items() if why}
    told = "; ".join(f"{name}: {why}" for name, why in sorted(broken.items())[:_SHOWN])
    yield Part("imports", _state(broken, imports, lacking), told or ", ".join(imports), {"modules": len(imports)})
    if not scripts:
        return
    said = {name: str(how) for name, how in answer.get("scripts", {}).items()}
    bad = {name: how for name, how in said.items() if how.startswith(("broken", "it was not"))}
    told = "; ".join(f"{name}: {how}" for name, how in sorted((bad or said).items()))
    yield Part("scripts", _state(bad, imports, lacking), told, {"commands": len(scripts)})


def _state(broken: Mapping[str, str], own: Iterable[str], lacking: Mapping[str, str]) -> State:
    """Tell how a part ended. Where another dist's module is not there, and some could not be had, nothing is shown."""
    if not broken:
        return State.PASSED
    tops = {name.partition(".")[0] for name in own}
    gone = [_GONE.search(why.rstrip()) for why in broken.values()]
    return State.SKIPPED if lacking and all(one and one["top"] not in tops for one in gone) else State.FAILED


def _suite_part(environment: Environment, suite: Suite, source: Path) -> Part:
    kind = "pypy" if environment.python.tag.startswith("pp") else "python"
    site = f"/task/venv/lib/{kind}{environment.python.column.python}/site-packages"
    # of the sdist only the tests are left: what they import is what was installed
    work = environment.space()
    for place in suite.outside:
        (source / place).rename(work / place)
    (work / "pytest.ini").write_text("[pytest]\n")
    places = [*(f"/suite/{place}" for place in suite.outside), *(f"{site}/{place}" for place in suite.inside)]
    counts: Counter[str] = Counter()
    bad: list[str] = []
    # each by itself: tests of two event loops do not share a process
    for place in places:
        question = {"folder": "/suite", "configuration": "/suite/pytest.ini", "places": [place]}
        answer = environment.ask({"suite": question}, ("--bind", str(work), "/suite"))["suite"]
        counts.update({str(kind): int(count) for kind, count in answer.get("counts", {}).items()})
        bad += [str(name) for name in answer.get("bad", ())]
    failed = bool(bad) or not counts
    told = f"not passed: {', '.join(bad[:_SHOWN])}" if bad else "" if counts else "pytest found no test"
    return Part("suite", State.FAILED if failed else State.PASSED, told, dict(counts))


def _wanted(sdist: SdistFacts, closure: Container[str]) -> list[str]:
    """Return the plugins of pytest, and what extras ask for, by the names in an sdist's metadata.

    Of an extra that is not for tests, only what the application has: txaio's tests skip Twisted's half without Twisted.
    """
    from packaging.requirements import Requirement

    found = []
    for text in sdist.metadata.requires_dist:
        requirement = Requirement(text)
        extra = str(requirement.marker or "")
        optional = "extra" in extra and canonicalize_name(requirement.name) in closure
        if optional or requirement.name.lower().startswith("pytest-") or "'test" in extra or '"test' in extra:
            found.append(requirement.name)
    return found


def _pinned(name: NormalizedName, wheel: Path) -> Pinned:
    return Pinned(name, wheel, _digest(wheel))


def _rank(path: Path, ranks: Mapping[Tag, int]) -> int | None:
    return min((ranks[tag] for tag in parse_wheel_filename(path.name)[3] if tag in ranks), default=None)


def _digest(path: Path) -> Sha256:
    return Sha256(digest_of(path))

"""The rule about overrides that have become void.

An entry is judged by what is known of the dist's files, and only where all targets and layouts of the release take
the dist in the same version and as the same kind of file: what is void here may be needed there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.checks.override_case import below_site_packages, cases, installed
from elpack.errors import Problem
from elpack.licences import licence_of
from elpack.model import Policy
from elpack.overrides import Bundled, MustHave, Reasoned
from elpack.plan.packages import active, inferred_requires
from elpack.plan.taken import taken
from elpack.requirements import holds, parsed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from elpack.checks.override_case import Case
    from elpack.overrides import Override
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan

Entry = Reasoned | Bundled | MustHave
Found = Iterator[tuple[str, str]]
"""Keys of void entries, such as ``drop[0]``, and why they are void."""


def void_override(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """An entry of an override file that changes nothing any more. Remove it: its reason misleads the next reader."""
    for case in cases(plan, inputs):
        found = dict(_written_twice(case.override))
        for judge in (*_EVERYWHERE, *(_WHERE_ALIKE if case.is_alike_everywhere() else ())):
            for key, why in judge(case):
                found.setdefault(key, why)
        for key, why in sorted(found.items()):
            where = f"specs/overrides/{case.override.name}.toml: {key}"
            yield Problem("this override changes nothing", where=where, why=why, fix="remove the entry")


def _written_twice(override: Override) -> Found:
    for key, entries in _lists(override):
        seen = set()
        for position, entry in enumerate(entries):
            if (value := _subject(entry)) in seen:
                yield f"{key}[{position}]", f"{value} is there twice"
            seen.add(value)


def _lists(override: Override) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
    return (
        ("drop", override.drop),
        ("no-bytecompile", override.keep_source),
        ("build-env", override.build_env),
        ("build-requires", override.build_requires),
        ("build-with", override.build_dists),
        ("no-import", override.skip_import),
        ("unmet", override.unmet),
        ("bundled", override.bundled),
        ("must-have", override.must_have),
        ("not-hardened", override.not_hardened),
    )


def _subject(entry: Entry) -> str:
    if isinstance(entry, Bundled):
        return f"{entry.name} {entry.version}"
    # a variable set twice is as wrong as one set twice to the same value
    return entry.path if isinstance(entry, MustHave) else entry.value.partition("=")[0]


def _paths(case: Case) -> Found:
    """Paths that the wheel does not hold; of an sdist, the build root tells."""
    if not any(package.role.at_run_time for package in case.packages):
        for key, entries in (("drop", case.override.drop), ("no-bytecompile", case.override.keep_source)):
            yield from _each(key, entries, lambda _: "it is only a build requirement, of which nothing is shipped")
    for package, facts in case.wheels:
        if package.role.at_run_time and package.private:
            paths = frozenset(installed(facts, case.inputs))
            modules = frozenset(below_site_packages(path) for path in paths if path.endswith(".py"))
            held = f"{facts.filename} holds no such"
            yield from _each("drop", case.override.drop, _unless_in(paths, f"{held} file"))
            yield from _each("no-bytecompile", case.override.keep_source, _unless_in(modules, f"{held} module"))


def _unless_in(paths: frozenset[str], why: str) -> Callable[[str], str]:
    return lambda path: "" if path in paths else why


def _unmet(case: Case) -> Found:
    """Requirements that are met, or that nobody has."""
    if case.dist is None:
        yield from _each("unmet", case.override.unmet, lambda _: "only dists of the closure require others of it")
        return
    metadata = [
        case.inputs.facts[package.sources[0].sha256].metadata for package in case.packages if package.role.at_run_time
    ]
    requirements = [one for data in metadata for one in parsed(data.requires_dist)]

    def why(name: str) -> str:
        about = [one for one in requirements if canonicalize_name(one.name) == name]
        if not about:
            return f"its metadata requires no {name}"
        # what another target requires is not known to be met there
        return "" if any(_may_be_unmet(one, case) for one in about) else f"the lock has the {name} that it requires"

    yield from _each("unmet", case.override.unmet, why)


def _may_be_unmet(requirement: Requirement, case: Case) -> bool:
    dist, have = case.dist, case.inputs.selection.by_name().get(canonicalize_name(requirement.name))
    extras = ("", *dist.extras) if dist else ("",)
    environment = case.inputs.target.marker_environment()
    if not any(holds(requirement, environment, extra) for extra in extras):
        return True
    return have is None or not requirement.specifier.contains(have.version, prereleases=True)


def _policy(case: Case) -> Found:
    if case.override.policy is None:
        return
    own = taken(case.inputs.selection.dists, case.inputs.chosen, case.inputs.target, case.inputs.release)
    unasked = [one.unasked for name, one in own if name == case.override.name]
    if not unasked:
        yield "policy", "build requirements are taken as the build lock pins them"
    elif unasked[0] is Policy.SDIST:
        yield "policy", "its sdist would be taken anyway: it is first-party, or the lock has no wheel for the target"
    elif case.override.name in dict(case.inputs.release.policies):
        yield "policy", "[policy] of elpack.toml says the same"


def _licence(case: Case) -> Found:
    decided = case.override.licence
    if decided is None:
        return
    metadata = (case.inputs.facts[package.sources[0].sha256].metadata for package in case.packages)
    found = [licence_of(one, None) for one in metadata]
    if all(licence is not None and licence.expression == decided.value for licence in found):
        yield "licence", f"its metadata says {decided.value} as well"


def _native(case: Case) -> Found:
    decided = case.override.native
    if decided is None:
        return
    if not case.sdists:
        yield "native", _WHEEL
    elif all(bool(facts.native) == (decided.value == "yes") for _, facts in case.sdists):
        reasons = (facts.native for _, facts in case.sdists if facts.native)
        yield "native", next(reasons, "nothing in its sdist says that it compiles")


def _compiling(case: Case) -> Found:
    """What concerns compiling, of a dist that comes from a wheel."""
    if not case.sdists:
        for key, entries in _lists(case.override):
            if key in _OF_SDISTS:
                yield from _each(key, entries, lambda _: _WHEEL)
    elif not any(package.native for package, _ in case.sdists):
        yield from _each("not-hardened", case.override.not_hardened, lambda _: "it holds no machine code")


def _build_requires(case: Case) -> Found:
    known = [
        {one.requirement: one.reason for one in inferred_requires(case.inputs, package.native, facts)}
        for package, facts in case.sdists
    ]

    def why(rpm: str) -> str:
        return f"it is there already: {known[0][rpm]}" if known and all(rpm in one for one in known) else ""

    yield from _each("build-requires", case.override.build_requires, why)


def _build_with(case: Case) -> Found:
    """Dists that the build takes in the closure's version anyway: its own requirements leave no other."""
    closure = case.inputs.selection.by_name()

    def why(name: str) -> str:
        if (have := closure.get(canonicalize_name(name))) is None:
            if canonicalize_name(name) in case.inputs.elsewhere:
                return ""  # of another layout or target, whose builds take it
            return f"{name} is not in the closure, whose version the build would take"
        pins = [f"=={have.version}", f"==={have.version}"]
        for _, facts in case.sdists:
            locked = case.inputs.build_requires.get(facts.filename, facts.build_requires)
            about = [one for one in active(locked, case.inputs.target) if canonicalize_name(one.name) == name]
            if not any(str(part) in pins for one in about for part in one.specifier):
                return ""
        return f"its build requires {name} in this version anyway" if case.sdists else ""

    yield from _each("build-with", case.override.build_dists, why)


def _no_import(case: Case) -> Found:
    modules = {module for _, facts in case.sdists for module in facts.modules}

    def why(module: str) -> str:
        return "" if module in modules or not case.sdists else f"only these are imported: {', '.join(sorted(modules))}"

    yield from _each("no-import", case.override.skip_import, why)


_WHEEL = "it is packaged from a wheel, and nothing is compiled"
_OF_SDISTS = ("build-env", "build-requires", "build-with", "no-import", "bundled", "not-hardened")

_EVERYWHERE: tuple[Callable[[Case], Found], ...] = (_paths,)
"""A path is there on each target, or the build fails on one of them."""

_WHERE_ALIKE: tuple[Callable[[Case], Found], ...] = (
    _policy,
    _licence,
    _native,
    _compiling,
    _build_requires,
    _build_with,
    _no_import,
    _unmet,
)


def _each(key: str, entries: Iterable[Entry], why: Callable[[str], str]) -> Found:
    for position, entry in enumerate(entries):
        if reason := why(entry.value if isinstance(entry, Reasoned) else ""):
            yield f"{key}[{position}]", reason

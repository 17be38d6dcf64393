"""The rules: each is a function with a docstring that explains what it finds and how it is mended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier
from packaging.utils import canonicalize_name

from elpack import strict
from elpack.changelog import backwards
from elpack.checks.machine_rules import MACHINE_RULES
from elpack.checks.name_rules import NAME_RULES
from elpack.checks.override_rules import OVERRIDE_RULES
from elpack.checks.place_rules import PLACE_RULES
from elpack.checks.promise_rules import PROMISE_RULES
from elpack.checks.system_rules import SYSTEM_RULES
from elpack.errors import ConfigError, PlanError, Problem
from elpack.model import Layout
from elpack.naming import dist_name, parse_version
from elpack.plan.keys import root_nodes
from elpack.plan.make import INSTALLER
from elpack.plan.model import Role
from elpack.plan.paths import installed_paths
from elpack.requirements import holds, parsed
from elpack.smoke import make_session, smoke_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.plan.facts import Inputs
    from elpack.plan.model import NodeId, Package, Plan

    Rule = Callable[[Plan, Inputs], Iterator[Problem]]


def check_plan(plan: Plan, inputs: Inputs) -> None:
    """Ask every rule. Raises `PlanError` with all findings of all rules."""
    problems = [problem for rule in RULES for problem in rule(plan, inputs)]
    if problems:
        raise PlanError(*problems)


def no_usable_file(_plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A dist for which the lock pins neither a wheel that runs on the target nor an sdist.

    Lock again where the index has one, or set the target's Python to one that is served.
    """
    for choices, lock in ((inputs.chosen, "uv.lock"), (inputs.chosen_build, "pylock.build.toml")):
        for name, choice in choices.items():
            if choice.file is None:
                yield Problem(
                    choice.problem,
                    where=f"{name} ({inputs.target})",
                    fix=f"pin a file of {name} that the target can use in {lock}",
                )


def no_installer(_plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A build lock without the installer, which puts every wheel into its place.

    `elpack lock` always locks it; somebody took it out.
    """
    if INSTALLER not in inputs.chosen_build:
        yield Problem(f"{INSTALLER} is not locked", where=f"pylock.build.toml ({inputs.target})", fix="elpack lock")


def build_circle(plan: Plan, _inputs: Inputs) -> Iterator[Problem]:
    """Packages that are built from source and need each other to be built: none of them can be the first.

    Take one of them from its wheel; a policy in specs/overrides/<dist>.toml or in elpack.toml made it an sdist.
    """
    nodes = plan.by_node()
    if any(node not in nodes for package in plan.packages for node in (*package.needs, *package.waits_for)):
        return  # a dist has no file, as `no_usable_file` tells
    roots = root_nodes(plan)
    circle = sorted(node for node in nodes if node in _reached(node, roots))
    if circle:
        names = ", ".join(circle)
        yield Problem(f"to be built they need one another: {names}", fix="take one of them from its wheel")


def path_conflict(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """Two packages that would own one path; rpm would refuse to install the second.

    Decide which one keeps it, and drop it from the other in specs/overrides/<dist>.toml.
    """
    owners: dict[str, list[Package]] = defaultdict(list)
    for package in _with_facts(plan):
        facts = inputs.facts[package.sources[0].sha256]
        for path in set(installed_paths(package, facts, plan.target.python)):
            if package.role.at_run_time:
                owners[path].append(package)
    for path, packages in sorted(owners.items()):
        if len(packages) > 1:
            names = " and ".join(package.dist for package in packages)
            loser = packages[0]
            inside = path.removeprefix(f"{loser.prefix}/")
            yield Problem(
                f"{names} both own {path}",
                where=f"{loser.rpm}",
                fix=f'[[drop]] path = "{inside}" with a reason, in specs/overrides/{loser.dist}.toml',
            )


def unsatisfied_requirement(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A requirement in a dist's own metadata that the closure does not meet: missing, or in another version.

    Lock again; or, where uv's overrides or exclusions cause it on purpose, say so in specs/overrides/<dist>.toml.
    """
    closure = inputs.selection.by_name()
    for package in _with_facts(plan):
        dist = closure.get(package.dist)
        if dist is None or not package.role.at_run_time:
            continue
        metadata = inputs.facts[package.sources[0].sha256].metadata
        override = inputs.overrides.get(package.dist)
        accepted = {entry.value for entry in override.unmet} if override else set()
        fix = f"uv lock; or [[unmet]] with the dist and a reason, in specs/overrides/{package.dist}.toml"
        for requirement in parsed(metadata.requires_dist):
            name = dist_name(requirement.name)
            if not _applies(requirement, inputs, dist.extras) or name in accepted or name in inputs.left:
                continue
            have = closure.get(name)
            if have is None and not inputs.release.application.lock:
                continue  # nothing was locked: the target's repositories have it or not
            if have is None:
                yield Problem(f"requires {requirement}, which the lock leaves out", where=f"{package.dist}", fix=fix)
            elif not requirement.specifier.contains(have.version, prereleases=True):
                yield Problem(f"requires {requirement}, the lock has {have.version}", where=f"{package.dist}", fix=fix)


def wrong_python(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A dist whose Requires-Python leaves the target's Python out."""
    python = inputs.target.marker_environment()["python_full_version"]
    for package in _with_facts(plan):
        text = inputs.facts[package.sources[0].sha256].metadata.requires_python
        try:
            allowed = strict.specifiers(text)
        except InvalidSpecifier:
            yield Problem(f"Requires-Python is not a specifier: {text!r}", where=f"{package.dist}")
            continue
        if not allowed.contains(python, prereleases=True):
            yield Problem(
                f"needs Python {text}, the target has {inputs.target.python}",
                where=f"{package.dist} {package.upstream_version}",
                fix="choose another Python for the target in elpack.toml, or lock again for this one",
            )


def no_licence(plan: Plan, _inputs: Inputs) -> Iterator[Problem]:
    """A package whose licence its metadata does not tell without doubt.

    Read its licence text, and write the SPDX expression into specs/overrides/<dist>.toml.
    """
    for package in plan.packages:
        if not package.licence.expression:
            yield Problem(
                "its licence is not known",
                where=f"{package.dist} {package.upstream_version}",
                why=package.licence.reason,
                fix=f'[licence] expression = "…" with a reason, in specs/overrides/{package.dist}.toml',
            )


def same_rpm_name(plan: Plan, _inputs: Inputs) -> Iterator[Problem]:
    """Two dists that get the same RPM name, or an application whose RPM is named like one of its parts."""
    seen: dict[str, Package] = {}
    for package in plan.packages:
        other = seen.setdefault(package.rpm, package)
        if other is not package:
            yield Problem(f"{other.node} and {package.node} would both be the RPM {package.rpm}", where="elpack.toml")


def wrong_identity(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A file whose metadata names another dist or version than the lock does."""
    closure = {dist.name: dist.version for dist in inputs.selection.dists}
    build = {dist.name: dist.version for dist in inputs.build}
    for package in _with_facts(plan):
        metadata = inputs.facts[package.sources[0].sha256].metadata
        pinned = (closure if package.role.at_run_time else build)[package.dist]
        where = package.sources[0].filename
        if canonicalize_name(metadata.name) != package.dist:
            yield Problem(f"the file says that it is {metadata.name!r}", where=where)
        elif not _is_version(metadata.version, pinned):
            yield Problem(f"the file says version {metadata.version!r}, the lock {pinned}", where=where)


def unknown_exposed_command(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A command that the release exposes in /usr/bin, but that its application does not have."""
    for package in _with_facts(plan):
        if package.role is Role.APPLICATION:
            paths = set(installed_paths(package, inputs.facts[package.sources[0].sha256], plan.target.python))
            for command in package.expose:
                if f"{package.prefix}/bin/{command}" not in paths:
                    yield Problem(
                        f"{package.dist} has no command {command}",
                        where="elpack.toml: application.expose",
                        fix="name one of its [project.scripts]",
                    )


def same_source_name(plan: Plan, _inputs: Inputs) -> Iterator[Problem]:
    """Two sources of one package with the same file name, of which rpmbuild would see only the last.

    Give one of the release's own files another name.
    """
    for package in plan.packages:
        names = [*(source.filename for source in package.sources), *(name for name, _ in package.generated)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem(f"two sources are named {name}", where=f"{package.rpm}", fix="rename one of the assets")


def override_for_nobody(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """An override file for a dist that is neither in the closure nor in the build lock."""
    known = {package.dist for package in plan.packages} | inputs.left | inputs.elsewhere.keys()
    for name in sorted(inputs.overrides.keys() - known if _is_whole(inputs) else ()):
        yield Problem(
            "no dist of this name is in the closure or in the build lock",
            where=f"specs/overrides/{name}.toml",
            fix="remove the file, or mend its name",
        )


def name_for_nobody(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A first-party package or a build policy for a dist that is not in the closure."""
    known = {package.dist for package in plan.packages} | inputs.left | inputs.elsewhere.keys()
    release = inputs.release
    if not _is_whole(inputs):
        return
    for table, names in (("first-party", release.first_party_names()), ("policy", {n for n, _ in release.policies})):
        for name in sorted(names - known):
            yield Problem(
                "no dist of this name is in the closure or in the build lock",
                where=f"elpack.toml: {table}.{name}",
                fix="remove the entry, or mend its name",
            )


def smoke_without_dist(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A smoke step that speaks of what the lock does not hold, which is better told now than after the build.

    Mend the name in ``{version:DIST}``.
    """
    service = inputs.release.service if plan.has_service() else None
    try:
        make_session(smoke_of(inputs.release, plan), service, plan.places(), plan.versions())
    except ConfigError as error:
        yield from error.problems


def dated_backwards(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A new version or revision dated before the one that it follows.

    Raise the release's date: rpm wants changelogs in order, and files may not become older.
    """
    for package in plan.packages:
        if package.changelog and (problem := backwards(inputs.changelog, package.changelog[0])):
            yield problem


RULES: tuple[Rule, ...] = (
    no_usable_file,
    no_installer,
    build_circle,
    wrong_identity,
    wrong_python,
    unsatisfied_requirement,
    path_conflict,
    same_rpm_name,
    unknown_exposed_command,
    same_source_name,
    no_licence,
    override_for_nobody,
    name_for_nobody,
    smoke_without_dist,
    dated_backwards,
    *MACHINE_RULES,
    *NAME_RULES,
    *OVERRIDE_RULES,
    *PLACE_RULES,
    *PROMISE_RULES,
    *SYSTEM_RULES,
)


def _is_whole(inputs: Inputs) -> bool:
    """Tell whether the plan holds all of the release, and not only the libraries of an application."""
    return inputs.layout is not Layout.SYSTEM or inputs.release.layout is Layout.SYSTEM


def _reached(start: NodeId, edges: Mapping[NodeId, tuple[NodeId, ...]]) -> set[NodeId]:
    seen: set[NodeId] = set()
    queue = list(edges[start])
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            queue += edges[node]
    return seen


def _is_version(text: str, version: Version) -> bool:
    try:
        return parse_version(text) == version
    except ValueError:
        return False


def _with_facts(plan: Plan) -> Iterator[Package]:
    for package in plan.packages:
        if package.sources and package.role not in (Role.MACROS, Role.RUNTIME, Role.BUNDLE):
            yield package


def _applies(requirement: Requirement, inputs: Inputs, extras: frozenset[NormalizedName]) -> bool:
    environment = inputs.target.marker_environment()
    return any(holds(requirement, environment, extra) for extra in ("", *extras))

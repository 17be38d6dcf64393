"""One package of each kind, made of the facts about its dist: names, requirements, sources, reasons."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.changelog import Entry, entries_of
from elpack.escape import safe_url, summary_line
from elpack.licences import doubt_about, licence_of
from elpack.model import Layout, SdistFacts, WheelFacts
from elpack.naming import Evr, dist_name, rpm_name, rpm_version
from elpack.overrides import Override
from elpack.plan.model import BuildRequire, Licence, NodeId, Package, Role, Source
from elpack.plan.paths import vendored_sonames
from elpack.requirements import applicable, provided_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.model import SelectedDist, Target
    from elpack.naming import RpmName
    from elpack.plan.facts import Inputs
    from elpack.plan.policy import Choice

SUMMARY_LIMIT = 79
MACROS = NodeId("macros")
RUNTIME = NodeId("runtime")
_TOOLS = {"c": "gcc", "c++": "gcc-c++", "cmake": "cmake", "make": "make"}
"""The RPMs of what compiling needs, of the same names in every EL version."""


def stack_node(name: NormalizedName) -> NodeId:
    """Return the node of a dist in the private prefix."""
    return NodeId(f"stack/{name}")


def system_node(name: NormalizedName) -> NodeId:
    """Return the node of a dist in the interpreter's own site-packages."""
    return NodeId(f"system/{name}")


def buildroot_node(inputs: Inputs, name: NormalizedName) -> NodeId:
    """Return the node of a build requirement.

    In layout `system` build requirements and what is published have the same names and places, so that a build root
    holds one version of each: the closure's, where it has the dist.
    """
    if inputs.layout is Layout.SYSTEM and name in inputs.chosen:
        return system_node(name)
    return NodeId(f"buildroot/{name}")


def stack_package(inputs: Inputs, dist: SelectedDist) -> Package | None:
    """Return the package of one dist of the closure, or None where the dist has no file (the checker tells)."""
    choice = inputs.chosen[dist.name]
    facts = facts_of(inputs, choice)
    if facts is None:
        return None
    release, override = inputs.release, override_of(inputs, dist.name)
    role = Role.THIRD_PARTY
    if dist.name in release.first_party_names():
        role = Role.APPLICATION if dist.name == release.application.name else Role.FIRST_PARTY
    package = dist_package(inputs, dist, choice, facts)
    if role is not Role.THIRD_PARTY:
        package = with_changelog(inputs, package, dist.version)
    return replace(
        package,
        node=stack_node(dist.name),
        role=role,
        rpm=release.application.rpm if role is Role.APPLICATION else stack_rpm(inputs, dist.name),
        prefix=release.prefix,
        needs=(RUNTIME, *(stack_node(name) for name in dist.requires)),
        provides=tuple(release.application.provides) if role is Role.APPLICATION else (),
        expose=release.application.expose if role is Role.APPLICATION else (),
        swaps_with=bundle_rpm(release.application.rpm) if role is Role.APPLICATION else "",
        drop=tuple(entry.value for entry in override.drop),
        keep_source=tuple(entry.value for entry in override.keep_source),
        notes=override_notes(override),
    )


def bundle_rpm(application: RpmName) -> RpmName:
    """Return ``<application>-bundle``."""
    return rpm_name(f"{application}-bundle")


def stack_rpm(inputs: Inputs, name: NormalizedName) -> RpmName:
    """Return ``<release>-python3.12-<dist>``."""
    return rpm_name(f"{inputs.release.name}-python{inputs.target.python}-{name}")


UNREAD = "LicenseRef-Unread"
"""Of a build requirement that its metadata leaves open: nobody gets that RPM, so nobody has to read its licence."""


def buildroot_package(inputs: Inputs, dist: SelectedDist) -> Package | None:
    """Return the package of one dist of the build lock: Fedora-style, in the interpreter's own site-packages."""
    choice = inputs.chosen_build[dist.name]
    facts = facts_of(inputs, choice)
    if facts is None:
        return None
    package = dist_package(inputs, dist, choice, facts)
    return replace(
        package,
        node=buildroot_node(inputs, dist.name),
        role=Role.BUILDROOT,
        rpm=rpm_name(f"python{inputs.target.python}-{dist.name}"),
        prefix="/usr",
        licence=package.licence if package.licence.expression else Licence(UNREAD, package.licence.reason),
        needs=tuple(buildroot_node(inputs, name) for name in dist.requires),
        requires=(inputs.target.python_rpm,),
        provides=(f"python{inputs.target.python}dist({dist.name}) = {provided_version(dist.version)}",),
    )


def active(requirements: Iterable[str], target: Target) -> list[Requirement]:
    """Return the PEP 508 requirements that hold on the target without any extra; malformed ones are left out."""
    return applicable(requirements, target.marker_environment())


def build_requirements(inputs: Inputs, package: Package, facts: SdistFacts) -> tuple[list[BuildRequire], list[NodeId]]:
    """Return what a build from an sdist needs: the target's RPMs, and dists of the build lock."""
    override = override_of(inputs, package.dist)
    rpms = inferred_requires(inputs, package.native, facts)
    rpms += [BuildRequire(entry.value, entry.reason) for entry in override.build_requires]
    locked = inputs.build_requires.get(facts.filename, facts.build_requires)
    wanted = {dist_name("pip"), *(dist_name(need.name) for need in active(locked, inputs.target))}
    wanted |= {dist_name(entry.value) for entry in override.build_dists}
    known = {dist.name for dist in inputs.build}
    return rpms, [buildroot_node(inputs, name) for name in sorted(wanted & known)]


def inferred_requires(inputs: Inputs, native: str, facts: SdistFacts) -> list[BuildRequire]:
    """Return the target's RPMs that a build from an sdist needs by what is known of it, without any override.

    native: why the result will hold machine code, empty when it will not.
    """
    rpms = [
        BuildRequire(inputs.target.devel_rpm, "the interpreter, its headers and its macros"),
        BuildRequire("pyproject-rpm-macros", "they build and install the wheel"),
    ]
    if native:
        rpms.append(BuildRequire(_TOOLS["c"], native))
        rpms += [BuildRequire(_TOOLS[tool.name], tool.reason) for tool in facts.tools if tool.name != "c"]
    return rpms


def dist_package(inputs: Inputs, dist: SelectedDist, choice: Choice, facts: WheelFacts | SdistFacts) -> Package:
    """Return what is the same for every package that comes of a dist; the caller fills in its place."""
    assert choice.file is not None  # noqa: S101 - the caller looked at its facts
    override = override_of(inputs, dist.name)
    metadata = facts.metadata
    wheel = facts if isinstance(facts, WheelFacts) else None
    sdist = facts if isinstance(facts, SdistFacts) else None
    native = _native(sdist, override) if sdist else ""
    uploaded = choice.file.uploaded
    return Package(
        node=MACROS,
        role=Role.MACROS,
        dist=dist.name,
        upstream_version=metadata.version,
        policy=choice.policy,
        reason=choice.reason,
        rpm=rpm_name(str(dist.name)),
        evr=Evr(dist.version.epoch, rpm_version(dist.version), release_tag(inputs)),
        noarch=wheel.filename.endswith("-none-any.whl") if wheel else not native,
        summary=summary_line(metadata.summary, dist.name, SUMMARY_LIMIT) or f"Python distribution {dist.name}",
        licence=licence_of(metadata, override) or Licence("", doubt_about(metadata)),
        url=safe_url(metadata.home_page) or f"https://pypi.org/project/{dist.name}/",
        date=dt.datetime.fromtimestamp(uploaded, dt.UTC).date() if uploaded else inputs.release.date,
        prefix="",
        template="wheel.spec.j2" if wheel else "sdist.spec.j2",
        sources=(Source(choice.file.filename, choice.file.sha256, choice.file.url),),
        folder=sdist.folder if sdist else "",
        native=native,
        modules=_modules(sdist, override) if sdist else (),
        licence_files=sdist.licence_files if sdist else (),
        licence_in_metadata=bool(metadata.licence_files),
        readme_files=sdist.readme_files if sdist else (),
        vendored_sonames=vendored_sonames(wheel) if wheel else (),
        build_env=tuple(entry.value for entry in override.build_env),
        bundled=tuple(entry.provide for entry in override.bundled) if sdist else (),
        must_have=tuple((entry.path, entry.at_least) for entry in override.must_have),
        not_hardened=tuple(entry.value for entry in override.not_hardened),
        cffi_only=inputs.release.promises.cffi_only and dist.name in inputs.release.first_party_names(),
    )


def with_changelog(inputs: Inputs, package: Package, version: Version) -> Package:
    """Return the package with its own changelog, whose newest entry dates all of its files."""
    release = inputs.release
    text = (f"{package.dist} {package.upstream_version}",)
    entries = entries_of(inputs.changelog, Entry(package.dist, version, release.revision, release.date, text))
    return replace(package, date=entries[0].date, changelog=entries)


def release_tag(inputs: Inputs) -> str:
    """Return the Release of every RPM of a plan, dist tag included."""
    return f"{inputs.release.revision}{inputs.target.dist_tag}"


def _native(facts: SdistFacts, override: Override) -> str:
    if override.native is None:
        return facts.native
    return override.native.reason if override.native.value == "yes" else ""


def _modules(facts: SdistFacts, override: Override) -> tuple[str, ...]:
    skipped = {entry.value for entry in override.skip_import}
    return tuple(module for module in facts.modules if module not in skipped)


def override_notes(override: Override) -> tuple[str, ...]:
    """Return what an override changes and why, a sentence each."""
    notes = [f"{entry.value} is left out: {entry.reason}" for entry in override.drop]
    notes += [f"{entry.value} is not byte-compiled: {entry.reason}" for entry in override.keep_source]
    notes += [f"{entry.value}: {entry.reason}" for entry in override.build_env]
    notes += [f"{entry.value} is not imported in %check: {entry.reason}" for entry in override.skip_import]
    notes += [f"{entry.value} need not be hardened: {entry.reason}" for entry in override.not_hardened]
    notes += [f"bundles {entry.name} {entry.version}: {entry.reason}" for entry in override.bundled]
    return tuple(notes)


def facts_of(inputs: Inputs, choice: Choice) -> WheelFacts | SdistFacts | None:
    """Return what the chosen file holds, or None where there is no file."""
    return inputs.facts[choice.file.sha256] if choice.file is not None else None


def override_of(inputs: Inputs, name: NormalizedName) -> Override:
    """Return a dist's override; an empty one where nobody wrote any."""
    return inputs.overrides.get(name) or Override(name)

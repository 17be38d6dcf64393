"""The planner: all inputs in, one immutable plan out. Pure; the same inputs give the same plan."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

from elpack import __version__
from elpack.errors import PlanError, Problem
from elpack.model import Layout, Policy, SdistFacts
from elpack.naming import Evr, dist_name, parse_version, rpm_name, rpm_version
from elpack.plan.bundle import bundle_package
from elpack.plan.model import BuildRequire, InstalledFile, Licence, Package, Plan, Role, Source
from elpack.plan.packages import (
    MACROS,
    RUNTIME,
    build_requirements,
    buildroot_package,
    release_tag,
    stack_package,
    system_node,
)
from elpack.plan.system import system_package
from elpack.service import render_sysusers, render_unit

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from elpack.model import SelectedDist
    from elpack.naming import RpmName
    from elpack.plan.facts import Inputs
    from elpack.plan.model import NodeId
    from elpack.service import Service

INSTALLER = dist_name("installer")
OWN_DATE = dt.date(2026, 11, 1)
"""Of elpack's own packages, which are in every build root: a new release must not change them, and so all the rest."""

IMPORTS = "the import check runs with what the package requires"
OWN_LICENCE = Licence("MIT", "elpack's own")


def make_plan(inputs: Inputs) -> Plan:
    """Decide everything about a release for one target.

    Dists without a usable file are left out; `elpack.checks` reports them, so a plan with findings is never
    carried out. Raises `PlanError` where a version cannot be rpm's.
    """
    _check_versions(inputs)
    system = inputs.layout is Layout.SYSTEM
    make = system_package if system else stack_package
    packages = [_macros(inputs)] if system else [_macros(inputs), _runtime(inputs)]
    packages += [package for dist in _build_only(inputs) if (package := buildroot_package(inputs, dist))]
    packages += [package for dist in inputs.selection.dists if (package := make(inputs, dist))]
    closures = _closures(packages)
    packages = [_with_waits(inputs, package, closures) for package in packages]
    packages = [_with_assets(inputs, package) for package in packages]
    application = next((package for package in packages if package.role is Role.APPLICATION), None)
    if inputs.layout is Layout.BUNDLE and application:
        packages.append(application := bundle_package(inputs, packages, application))
    roots = [application] if application and not system else _system_roots(inputs, packages)
    return Plan(
        release=inputs.release.name,
        version=inputs.version,
        target=inputs.target,
        layout=inputs.layout,
        packages=tuple(sorted(packages, key=lambda package: package.node)),
        roots=tuple(root.node for root in roots),
        install=tuple(name for root in roots for name in _asked_for(root)),
        notices=inputs.notices,
    )


def _check_versions(inputs: Inputs) -> None:
    problems = []
    for dist in (*inputs.selection.dists, *inputs.build):
        try:
            rpm_version(dist.version)
        except ValueError as error:
            problems.append(Problem(str(error), where=f"{dist.name} ({inputs.target})", fix="lock another version"))
    if problems:
        raise PlanError(*dict.fromkeys(problems))


def _build_only(inputs: Inputs) -> tuple[SelectedDist, ...]:
    """Return the build requirements that are no packages of the closure at the same time."""
    if inputs.layout is not Layout.SYSTEM:
        return inputs.build
    return tuple(dist for dist in inputs.build if dist.name not in inputs.chosen)


def _system_roots(inputs: Inputs, packages: list[Package]) -> list[Package]:
    nodes = {package.node: package for package in packages}
    names = inputs.release.system_packages()
    return [nodes[node] for name in names if (node := system_node(name)) in nodes]


def _asked_for(root: Package) -> tuple[RpmName, ...]:
    """Return what a customer types after ``dnf install``."""
    return (*(rpm_name(name) for name in root.provides),) or (root.rpm, *(extra.rpm for extra in root.extras))


def _with_waits(inputs: Inputs, package: Package, closures: dict[NodeId, frozenset[NodeId]]) -> Package:
    """Add what the build root of a package holds.

    An import check needs the dist's own requirements there. Where a dist requires itself in a circle, they
    cannot come before it: the check is left to the smoke test, and the spec says so.
    """
    if package.role is Role.MACROS:
        return package
    if package.policy is Policy.WHEEL:
        return replace(package, waits_for=(MACROS,))
    facts = inputs.facts[package.sources[0].sha256]
    if not isinstance(facts, SdistFacts):
        return package
    rpms, dists = build_requirements(inputs, package, facts)
    if package.node in closures[package.node]:
        note = "not imported in %check: it requires itself in a circle, so its requirements cannot be built before it"
        package = replace(package, modules=(), notes=(*package.notes, note))
    imported = package.modules and package.role.at_run_time
    needs = package.needs if imported else ()
    if imported and not package.pinned:
        rpms += [BuildRequire(requirement, IMPORTS) for requirement in package.requires]
    return replace(package, build_requires=tuple(rpms), waits_for=tuple(dict.fromkeys((MACROS, *dists, *needs))))


def _with_assets(inputs: Inputs, package: Package) -> Package:
    """Give the application's package the files that the release file adds to it."""
    if package.role is not Role.APPLICATION:
        return package
    release = inputs.release
    files = [
        InstalledFile(asset.source.rsplit("/", 1)[-1], asset.destination, asset.mode, asset.config, asset.group)
        for asset in release.assets
    ]
    sources = (*package.sources, *(inputs.assets[asset.source] for asset in release.assets))
    package = replace(package, installed=tuple(files), sources=sources)
    return _with_service(package, release.service) if release.service else package


def _with_service(package: Package, service: Service) -> Package:
    """Add the unit, and the user that it runs as."""
    unit, user = f"{service.name}.service", f"{service.name}.conf"
    return replace(
        package,
        service=service.name,
        build_requires=(*package.build_requires, BuildRequire("systemd-rpm-macros", "the service and its user")),
        generated=(*package.generated, (unit, render_unit(service)), (user, render_sysusers(service))),
        installed=(
            *package.installed,
            InstalledFile(unit, f"/usr/lib/systemd/system/{unit}", 0o644, config=False),
            InstalledFile(user, f"/usr/lib/sysusers.d/{user}", 0o644, config=False),
        ),
    )


def _closures(packages: list[Package]) -> dict[NodeId, frozenset[NodeId]]:
    """Return what each package needs, directly or not; a package is in its own closure only if there is a circle."""
    needs = {package.node: package.needs for package in packages}
    closures = {}
    for node, direct in needs.items():
        seen: set[NodeId] = set()
        queue = list(direct)
        while queue:
            current = queue.pop()
            if current not in seen:
                seen.add(current)
                queue += needs.get(current, ())
        closures[node] = frozenset(seen)
    return closures


def _macros(inputs: Inputs) -> Package:
    """Return the package with elpack's own rpm macros; it carries the installer wheel, which installs all others."""
    choice = inputs.chosen_build.get(INSTALLER)
    installer = choice.file if choice else None
    sources = (Source(installer.filename, installer.sha256, installer.url),) if installer else ()
    return _own(
        inputs,
        node=MACROS,
        role=Role.MACROS,
        name="elpack-rpm-macros",
        version=__version__,
        summary="RPM macros that turn wheels and sdists into packages",
        template="macros.spec.j2",
        sources=sources,
        generated=tuple((name, _asset(name)) for name in ("macros.elpack", "elpack_buildroot.py", "elpack_elf.py")),
        requires=(inputs.target.python_rpm,),
    )


def _runtime(inputs: Inputs) -> Package:
    """Return the package that owns the private prefix, which is a venv in form (PEP 405)."""
    release, target = inputs.release, inputs.target
    folder = target.interpreter.rpartition("/")[0]
    pyvenv = f"home = {folder}\ninclude-system-site-packages = false\nversion = {target.python}\n"
    return _own(
        inputs,
        node=RUNTIME,
        role=Role.RUNTIME,
        name=f"{release.name}-python{target.python}",
        version=target.python,
        summary=f"Private Python {target.python} environment of {release.name}",
        template="runtime.spec.j2",
        generated=(("pyvenv.cfg", pyvenv),),
        requires=(target.python_rpm,),
        waits_for=(MACROS,),
    )


def _own(inputs: Inputs, *, name: str, version: str, **rest: object) -> Package:
    return Package(
        dist=_no_dist(),
        upstream_version=version,
        policy=Policy.WHEEL,
        reason="elpack's own",
        rpm=rpm_name(name),
        evr=Evr(0, rpm_version(parse_version(version)), release_tag(inputs)),
        noarch=True,
        licence=OWN_LICENCE,
        url="https://pypi.org/project/elpack/",
        date=OWN_DATE,
        prefix=inputs.release.prefix,
        **rest,  # type: ignore[arg-type]
    )


def _no_dist() -> NormalizedName:
    return dist_name("elpack")


def _asset(name: str) -> str:
    return resources.files("elpack.assets").joinpath(name).read_text()

"""Layout `bundle`: the private prefix of all stack packages in one RPM, for sites that carry one file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.licences import all_of
from elpack.naming import parse_version
from elpack.plan.model import BuildRequire, Licence, NodeId, Package, Role
from elpack.plan.packages import MACROS, RUNTIME, bundle_rpm
from elpack.requirements import provided_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.plan.facts import Inputs

BUNDLE = NodeId("bundle")


def bundle_package(inputs: Inputs, packages: Iterable[Package], application: Package) -> Package:
    """Return the package that holds what all packages of the stack hold, byte for byte.

    Its build root has the stack's RPMs installed, and what they own is packaged anew: nothing is compiled twice, and
    nothing can differ (docs/decisions/0041-bundle-of-the-stack.md).
    """
    parts = tuple(sorted((one for one in packages if one.role.at_run_time), key=lambda one: one.node))
    dists = tuple(one for one in parts if one.role is not Role.RUNTIME)
    python = inputs.target.python
    bundled = tuple(
        f"bundled(python{python}dist({one.dist})) = {provided_version(parse_version(one.upstream_version))}"
        for one in dists
    )
    # the build user may not read the configuration, so it comes from its source; man pages are copied as compressed
    installed = tuple(one for one in application.installed if not one.destination.startswith("/usr/share/man/"))
    return replace(
        application,
        node=BUNDLE,
        role=Role.BUNDLE,
        reason="the packages of the stack, in one",
        rpm=bundle_rpm(application.rpm),
        noarch=all(one.noarch for one in parts),
        # the newest of all: no file of the tree may become older than its bytecode says
        date=max(one.date for one in parts),
        licence=Licence(all_of(one.licence.expression for one in parts), "that of every part"),
        template="bundle.spec.j2",
        sources=tuple(source for source in application.sources if source.filename in {one.source for one in installed}),
        installed=installed,
        swaps_with=application.rpm,
        expose=(),
        native="",
        requires=tuple(sorted({require for one in parts for require in one.requires})),
        provides=application.provides,
        bundled=tuple(sorted({*bundled, *(name for one in parts for name in one.bundled)})),
        conflicts=tuple(one.rpm for one in parts if one.role in (Role.APPLICATION, Role.RUNTIME)),
        build_requires=tuple(
            BuildRequire("systemd-rpm-macros", "the service and its user") for _ in filter(None, [application.service])
        ),
        waits_for=(MACROS, RUNTIME, *(one.node for one in dists)),
        needs=(),
        modules=(),
        vendored_sonames=tuple(sorted({name for one in parts for name in one.vendored_sonames})),
        drop=(),
        keep_source=(),
        build_env=(),
        must_have=(),
        not_hardened=(),
        cffi_only=False,
        notes=(),
    )

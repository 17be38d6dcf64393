"""Looks at the finished RPMs as one set, before anything is published."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from elpack.errors import Problem, RepositoryError
from elpack.model import Layout
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from elpack.plan.model import NodeId, Plan
    from elpack.tools.rpm import RpmHeader


def check_rpms(plan: Plan, rpms: Mapping[NodeId, Sequence[Path]], debug: Sequence[Path] = ()) -> None:
    """Raise `RepositoryError` with all that the built packages do wrong together, and the planner could not know.

    One path in two packages, debug packages included; a Provides outside of the release's own names; a
    requirement on a package of the release that the release does not hold, or on a dist of the system's Python.
    """
    published = plan.published()
    headers = read_headers([path for package in published for path in rpms[package.node]])
    owners = [*headers, *read_headers(debug)]
    problems = [*_two_owners(owners), *_offers_outside(headers, plan)]
    problems += _missing_dists(headers, plan) if plan.layout is Layout.SYSTEM else _missing(headers, plan)
    if problems:
        raise RepositoryError(*problems)


def _two_owners(headers: Sequence[RpmHeader]) -> Iterator[Problem]:
    owners: dict[str, list[str]] = defaultdict(list)
    for header in headers:
        for file in header.files:
            owners[file].append(header.name)
    for file, names in sorted(owners.items()):
        if len(names) > 1:
            yield Problem(
                f"{' and '.join(names)} both own {file}",
                where=names[0],
                fix="drop it from one of them by an override with its reason",
            )


def _offers_outside(headers: Sequence[RpmHeader], plan: Plan) -> Iterator[Problem]:
    declared = {name for package in plan.packages for name in (*package.provides, package.rpm)}
    declared |= {extra.rpm for package in plan.packages for extra in package.extras}
    if plan.layout is Layout.SYSTEM:
        declared |= _dists(plan)
    for header in headers:
        for provide in header.provides:
            name = provide.split(" ")[0].partition("(x86-64)")[0].partition("(aarch-64)")[0]
            if name not in declared and not name.startswith(("user(", "group(", "config(", "bundled(")):
                yield Problem(f"offers {provide} to the whole system", where=header.name)


def _dists(plan: Plan) -> set[str]:
    """Return the names under which the target's own generator offers the dists of layout `system`."""
    form = f"python{plan.target.python}dist({{}})".format
    names = {form(package.dist) for package in plan.packages if package.role.at_run_time}
    return names | {form(f"{package.dist}[{extra.name}]") for package in plan.packages for extra in package.extras}


def _missing_dists(headers: Sequence[RpmHeader], plan: Plan) -> Iterator[Problem]:
    """Tell of dists that the generator does not offer, although they are there: nothing could require them."""
    offered = {provide.partition(" ")[0] for header in headers for provide in header.provides}
    for name in sorted(_dists(plan) - offered):
        yield Problem(f"no package offers {name}: the target's generator did not find its metadata", where=plan.release)


def _missing(headers: Sequence[RpmHeader], plan: Plan) -> Iterator[Problem]:
    offered = {provide for header in headers for provide in header.provides}
    for header in headers:
        for require in header.requires:
            if require.startswith(f"{plan.release}-python") and require not in offered:
                yield Problem(f"requires {require}, which no package of the release is", where=header.name)
            elif "dist(" in require:
                yield Problem(f"requires {require} of the system's own Python", where=header.name)

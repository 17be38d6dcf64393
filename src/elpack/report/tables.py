"""The plan and the result as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from elpack.plan.model import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from elpack.plan.model import NodeId, Package, Plan
    from elpack.session import Session
    from elpack.steps.results import Result
    from elpack.steps.smoke import SmokeReport


def plan_table(
    plan: Plan, cached: Collection[NodeId], ways: Mapping[NodeId, str], *, everything: bool, narrow: bool = False
) -> Table:
    """Return the plan, one line per RPM. Without `everything`, what only build roots hold is left out.

    ways: how each comes to be, where that is of another architecture.

    On a `narrow` terminal reason and source stand below the RPM's name, where columns would fold every word.
    """
    table = Table(
        title=escape(f"{plan.release} {plan.version} for {plan.target}"),
        title_justify="left",
        box=None,
        header_style="bold",
    )
    headings = ("RPM", "policy", "cached") if narrow else ("RPM", "policy", "cached", "why", "source", "waits for")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for package in plan.packages:
        if everything or package.role.at_run_time:
            name = f"{package.nvr}.{arch(package, plan)}"
            policy = ", ".join(word for word in (package.policy, ways.get(package.node, "")) if word)
            row = (policy, "yes" if package.node in cached else "")
            waits = _few([node for node in package.waits_for if node != "macros"])
            details = (escape(package.reason), escape(_source(package)), waits)
            if narrow:
                below = [*details[:2], f"waits for {waits}" if waits else ""]
                table.add_row("\n".join([name, *(f"  [dim]{text}[/]" for text in below if text)]), *row)
            else:
                table.add_row(name, *row, *details)
    return table


def plan_json(plan: Plan, cached: Collection[NodeId], ways: Mapping[NodeId, str]) -> dict[str, Any]:
    """Return the plan for machines; see `plan_table`."""
    return {
        "release": plan.release,
        "version": plan.version,
        "target": {"name": plan.target.name, "python": plan.target.python, "arch": plan.target.arch},
        "layout": plan.layout,
        "packages": [
            {**_package_json(package, plan, cached), "way": ways.get(package.node, "native")}
            for package in plan.packages
        ],
        "notices": list(plan.notices),
    }


def arch(package: Package, plan: Plan) -> str:
    """Return the architecture that stands in the RPM's name."""
    return "noarch" if package.noarch else plan.target.arch


def summary(session: Session) -> Table:
    """Return what a run made: sizes and times by role, then the phases."""
    table = Table(
        title=f"{session.plan.release} {session.plan.version} for {session.plan.target}", title_justify="left", box=None
    )
    for heading in ("what", "RPMs", "MB", "built now", "build seconds"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for role in Role:
        row = _role_row(role, session.plan, session.results)
        if row:
            table.add_row(*row)
    table.add_section()
    for name, seconds in session.seconds.items():
        table.add_row(f"phase {name}", "", "", "", f"{seconds:.1f}")
    return table


def _role_row(role: Role, plan: Plan, results: Mapping[NodeId, Result]) -> tuple[str, ...] | None:
    mine = [results[package.node] for package in plan.packages if package.role is role and package.node in results]
    if not mine:
        return None
    rpms = [path for result in mine for path in result.rpms]
    size = sum(path.stat().st_size for path in rpms) / 1e6
    now = [result for result in mine if not result.cached]
    return role, str(len(rpms)), f"{size:.1f}", str(len(now)), f"{sum(result.seconds for result in now):.1f}"


def _package_json(package: Package, plan: Plan, cached: Collection[NodeId]) -> dict[str, Any]:
    return {
        "node": package.node,
        "role": package.role,
        "dist": package.dist,
        "version": package.upstream_version,
        "rpm": {"name": package.rpm, "evr": str(package.evr), "arch": arch(package, plan)},
        "policy": package.policy,
        "reason": package.reason,
        "native": package.native,
        "licence": {"expression": package.licence.expression, "reason": package.licence.reason},
        "sources": [{"file": s.filename, "sha256": s.sha256, "url": s.url} for s in package.sources],
        "needs": list(package.needs),
        "waits_for": list(package.waits_for),
        "build_requires": [{"requirement": b.requirement, "reason": b.reason} for b in package.build_requires],
        "notes": list(package.notes),
        "cached": package.node in cached,
    }


def _source(package: Package) -> str:
    if not package.sources:
        return ""
    source = package.sources[0]
    return f"{source.filename} sha256:{source.sha256[:12]}…"


def _few(nodes: list[NodeId]) -> str:
    names = [node.removeprefix("stack/").replace("buildroot/", "") for node in nodes]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")  # noqa: PLR2004


def smoke_table(report: SmokeReport) -> Table:
    """Return how each step of the smoke test went."""
    table = Table(title="smoke test", title_justify="left", box=None)
    table.add_column("step")
    table.add_column("result")
    table.add_column("seconds", justify="right")
    for step in report.steps:
        colour = {"ok": "green", "failed": "red"}.get(step.status, "yellow")
        table.add_row(step.name, f"[{colour}]{step.status}[/]", f"{step.seconds:.1f}")
    return table

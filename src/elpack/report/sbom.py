"""What a release carries of others, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from elpack.sbom.components import dists_of
from elpack.sbom.parts import parts_of

if TYPE_CHECKING:
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan


def carried_table(plan: Plan, inputs: Inputs) -> Table:
    """Return what the dists carry of others, one line for each part: its version if known, and what tells of it."""
    dists = dists_of(plan)
    table = Table(
        title=escape(f"{len(dists)} dists of {plan.release} {plan.version}, and what they carry of others"),
        title_justify="left",
        box=None,
        header_style="bold",
    )
    for heading in ("dist", "carries", "version", "by", "found in"):
        table.add_column(heading, overflow="fold")
    for package in dists:
        for part in parts_of(inputs, package):
            traces = ", ".join(sorted({proof.trace for proof in part.proofs}))
            row = (f"{package.dist} {package.upstream_version}", str(part.purl or part.name).partition("@")[0])
            table.add_row(*map(escape, (*row, part.version or "not told", traces, part.proofs[0].file)))
    return table

"""What a second build gave, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from elpack.steps.compare import Comparison, Difference
    from elpack.steps.rebuild import Second
    from elpack.steps.verify import Verified

_SHOWN = 12


def verified_text(found: Verified, *, own_key: bool) -> str:
    """Return what was found to be right. own_key: the release file names the keys, and it was one of them."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items())
    lines = [f"{sum(found.kinds.values())} files are what the manifest says ({kinds})"]
    if found.throwaway:
        lines.append(f"signed by {found.fingerprint}, a THROWAWAY key that nobody should trust")
    elif found.fingerprint:
        whose = "a key of the release" if own_key else "the key that lies beside them; compare it with what you know"
        lines.append(f"signed by {found.fingerprint}, {whose}")
    else:
        lines.append("NOT SIGNED: whoever could change the files could change the manifest")
    return "\n".join(lines)


def verified_json(found: Verified) -> dict[str, Any]:
    """Return the same for machines."""
    return {"kinds": dict(found.kinds), "fingerprint": found.fingerprint, "throwaway": found.throwaway}


def difference_table(comparison: Comparison) -> Table:
    """Return the files that differ, with the beginnings of both digests."""
    table = Table(title="differences", title_justify="left", box=None, header_style="bold")
    for heading in ("artefact", "kind", "first", "second"):
        table.add_column(heading, overflow="fold")
    for difference in comparison.differences:
        table.add_row(escape(difference.name), difference.kind, *digests(difference))
    return table


def digests(difference: Difference) -> tuple[str, str]:
    """Return the beginnings of both digests, or that there is none."""
    first, second = (f"{text[:_SHOWN]}…" if text else "missing" for text in (difference.first, difference.second))
    return first, second


def rebuild_lines(second: Second) -> str:
    """Return what was compared, and what was and was not varied."""
    comparison, variations = second.comparison, second.variations
    kinds = ", ".join(f"{count} {kind}" for kind, count in comparison.kinds.items())
    different = len(comparison.differences)
    result = f"{different} differ" if different else "all identical"
    again = f"{second.built} packages built again in {second.seconds:.0f} s"
    lines = [f"{comparison.count} artefacts, {result} ({kinds}); {again}"]
    lines += [f"varied: {variation.what}: {variation.value}" for variation in variations if variation.value]
    lines += [f"not varied: {variation.what}: {variation.why_not}" for variation in variations if not variation.value]
    return "\n".join(lines)


def rebuild_json(second: Second) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "artefacts": second.comparison.count,
        "kinds": dict(second.comparison.kinds),
        "differences": [
            {"kind": one.kind, "name": one.name, "first": one.first, "second": one.second}
            for one in second.comparison.differences
        ],
        "varied": {one.what: one.value for one in second.variations if one.value},
        "not_varied": {one.what: one.why_not for one in second.variations if not one.value},
        "built": second.built,
        "seconds": round(second.seconds, 1),
    }

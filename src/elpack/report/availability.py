"""The availability matrix as tables for a terminal, and as a page that needs nothing beside itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from elpack.wheels.availability import WHEELS, Means

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.wheels.availability import Matrix, Way
    from elpack.wheels.columns import Column

SHORT = {
    Means.UNIVERSAL: "any",
    Means.EXACT: "exact",
    Means.ABI3: "abi3",
    Means.PLATFORM: "platform",
    Means.SDIST_PURE: "sdist, pure",
    Means.SDIST_COMPILES: "compile",
    Means.SDIST: "sdist",
    Means.NOTHING: "none",
}
LEGEND = {
    Means.UNIVERSAL: "one wheel for every machine",
    Means.EXACT: "a wheel for this very interpreter, and the C library that it needs",
    Means.ABI3: "a wheel for this and later interpreters, by Python's stable ABI",
    Means.PLATFORM: "a wheel for the machine and any Python",
    Means.SDIST_PURE: "source alone, which needs no compiler",
    Means.SDIST_COMPILES: "source alone, which is compiled",
    Means.SDIST: "source alone, which was not read yet: a plan reads it",
    Means.NOTHING: "no wheel that fits, and no source",
}
"""What each way means, for who reads a table."""
_COLOURS = {
    **dict.fromkeys(WHEELS, "green"),
    Means.SDIST_PURE: "cyan",
    Means.SDIST_COMPILES: "yellow",
    Means.SDIST: "yellow",
    Means.NOTHING: "bold red",
}


def matrix_tables(matrix: Matrix, *, everything: bool, narrow: bool) -> Iterator[Table | str]:
    """Yield the dists that are not everywhere the same, or all, then the counts, the legend and what is closed.

    On a `narrow` terminal each architecture has a table of its own.
    """
    columns = matrix.open()
    rows = [row for row in matrix.rows if everything or not row.everywhere(columns)]
    groups = [columns]
    if narrow:
        places = dict.fromkeys((column.arch, column.musl) for column in columns)
        groups = [tuple(one for one in columns if (one.arch, one.musl) == place) for place in places]
    for group in groups if rows else []:
        table = _table(f"{matrix.release} {matrix.version}: {len(rows)} of {len(matrix.rows)} dists", group)
        for row in rows:
            name = f"{row.name} {row.version}{' (first-party)' if row.first_party else ''}"
            table.add_row(escape(name), *(_cell(row.ways.get(column)) for column in group))
        yield table
    for group in groups:
        yield _counts(matrix, group)
    yield _words(matrix, all_shown=len(rows) == len(matrix.rows))


def _table(title: str, columns: Sequence[Column]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=None, header_style="bold")
    table.add_column("dist", overflow="fold")
    for column in columns:
        table.add_column(f"{column.name}\n{column.arch}{chr(10) + 'musl' if column.musl else ''}")
    return table


def _cell(way: Way | None) -> str:
    if way is None:
        return "[dim]-[/]"
    return f"[{_COLOURS[way.means]}]{escape(words(way))}[/]{' *' if way.made else ''}"


def words(way: Way) -> str:
    """Return a way in a few words, with the C library that a wheel needs."""
    parts = [SHORT[way.means], dotted(way.libc)]
    if way.newer:
        parts.append(f"(wheel: {dotted(way.newer_libc)})")
    return " ".join(part for part in parts if part)


def dotted(libc: tuple[int, int] | None) -> str:
    """Return the version of a C library, "" for none."""
    return ".".join(map(str, libc)) if libc else ""


def _counts(matrix: Matrix, columns: Sequence[Column]) -> Table:
    table = _table("dists by way", columns)
    counts = {column: matrix.count(column) for column in columns}
    for means in Means:
        if any(counts[column][means] for column in columns):
            table.add_row(f"[{_COLOURS[means]}]{SHORT[means]}[/]", *(str(counts[one][means] or "") for one in columns))
    return table


def _words(matrix: Matrix, *, all_shown: bool) -> str:
    used = {way.means for row in matrix.rows for way in row.ways.values()}
    lines = [f"{SHORT[means]}: {LEGEND[means]}" for means in Means if means in used]
    lines.append(
        f"-: not needed there; *: elpack built it; glibc {dotted(matrix.glibc)} is the newest that may be needed"
    )
    lines += [f"{column}: no closure, because {reason}" for column, reason in matrix.closed.items()]
    if not all_shown:
        lines.append("all others have one wheel for every machine; --all shows them")
    return "\n".join(lines)


def matrix_page(matrix: Matrix) -> str:
    """Return the matrix as one HTML page without scripts and without anything from elsewhere."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("elpack", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    columns = matrix.open()
    groups = dict.fromkeys((column.arch, column.musl) for column in columns)
    counts = {column: matrix.count(column) for column in columns}
    used = [means for means in Means if any(counts[column][means] for column in columns)]
    return environment.get_template("wheels.html.j2").render(
        matrix=matrix,
        columns=columns,
        groups=[
            (f"{arch}{', musl' if musl else ''}", sum((one.arch, one.musl) == (arch, musl) for one in columns))
            for arch, musl in groups
        ],
        firsts={_first(columns, place) for place in groups},
        counts=counts,
        used=used,
        legend=LEGEND,
        short=SHORT,
        slug={means: means.name.lower().replace("_", "-") for means in Means},
        words=words,
        dotted=dotted,
        own=[f"{column} ({' and '.join(targets)})" for column, targets in matrix.own.items()],
        made=_made,
        interpreter=_interpreter,
    )


def _first(columns: Sequence[Column], place: tuple[str, bool]) -> Column:
    return next(one for one in columns if (one.arch, one.musl) == place)


def _made(way: Way) -> list[str]:
    return sorted({"+ wheel" if one.endswith(".whl") else "+ RPM" for one in way.made}, reverse=True)


def _interpreter(column: Column) -> str:
    return str(column.interpreter)

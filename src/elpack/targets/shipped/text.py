"""The text of a data file of shipped dists: validated values in, the same bytes out for the same values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from elpack.targets.shipped import Shipped, ShippedData


def render_shipped(data: ShippedData, comment: Iterable[str]) -> str:
    """Return the text that `parse_shipped` reads back as `data`, below a comment of these lines."""
    repositories = sorted(data.repositories)
    lines = [
        *(f"# {line}".rstrip() for line in comment),
        f"date = {data.date.isoformat()}",
        f"repositories = [{_quoted(repositories)}]",
        f"enabled = [{_quoted(sorted(data.enabled))}]",
    ]
    for python in sorted(data.dists, key=_number):
        lines += ["", f'[python."{python}"]', *_section(data.dists[python])]
    return "\n".join(lines) + "\n"


def _section(dists: Mapping[NormalizedName, Shipped]) -> list[str]:
    # a normalised name is a bare key unless it has a dot, which it has not
    return [f"{name} = {{ {_fields(dists[name])} }}" for name in sorted(dists)]


def _fields(one: Shipped) -> str:
    text = f'rpm = "{one.rpm}", repository = "{one.repository}"'
    return text if one.version is None else f'{text}, version = "{one.version}"'


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)


def _number(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))

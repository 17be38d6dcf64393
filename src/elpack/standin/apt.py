"""Where this machine's own apt gets Debian from, read from both forms of its source lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.standin.dpkg import parse_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$")
_COMPONENT = "main"


def mirror_lines(sources: Iterable[tuple[str, str]], suite: str) -> tuple[str, ...]:
    """Return ``deb URI SUITE main`` lines for the suite, its updates and its security fixes, in the order found.

    sources: name and text of each file, ``*.list`` or ``*.sources``. Third-party repositories are passed over.
    The result is empty when no file offers the suite itself.
    """
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    lines = []
    for name, text in sources:
        entries = _deb822(text) if name.endswith(".sources") else _one_line(text)
        lines += [f"deb {uri} {found} {_COMPONENT}" for uri, found in entries if found in wanted]
    unique = tuple(dict.fromkeys(lines))
    return unique if any(line.split()[2] == suite for line in unique) else ()


def _one_line(text: str) -> list[tuple[str, str]]:
    matches = (_ONE_LINE.match(line.strip()) for line in text.splitlines())
    return [(match[1], match[2]) for match in matches if match and _COMPONENT in match[3].split()]


def _deb822(text: str) -> list[tuple[str, str]]:
    entries = []
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", plain):
        fields = parse_fields(paragraph)
        usable = "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes").lower() != "no"
        if usable and _COMPONENT in fields.get("Components", "").split():
            entries += [(uri, found) for uri in fields["URIs"].split() for found in fields["Suites"].split()]
    return entries

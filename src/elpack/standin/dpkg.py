"""What a Debian package says of itself, read from ``dpkg-deb --field`` and ``dpkg-deb --contents``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RELATION = re.compile(r"^\s*([a-z0-9][a-z0-9.+-]*)")
_MERGED = re.compile(r"^/(bin|sbin|lib|lib64)(?=/|$)")
_LISTING_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Deb:
    """A Debian package. `depends` holds groups of alternatives; `paths` are absolute, as after the /usr merge."""

    name: str
    version: str
    sha256: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def upstream(self) -> str:
        """Return the upstream part of the version, without epoch, as rpm can hold it."""
        return self._split()[0].replace("-", ".")

    @property
    def revision(self) -> str:
        """Return Debian's part of the version as rpm can hold it, 0 for a native package."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        version = self.version.partition(":")[2] or self.version
        upstream, dash, revision = version.rpartition("-")
        return (upstream, revision) if dash else (version, "0")


def parse_deb(control: str, contents: str, sha256: str) -> Deb:
    """Read one package. Raises KeyError when the control text lacks a name or a version."""
    fields = parse_fields(control)
    groups = [*relations(fields.get("Pre-Depends", "")), *relations(fields.get("Depends", ""))]
    return Deb(
        name=fields["Package"],
        version=fields["Version"],
        sha256=sha256,
        depends=tuple(groups),
        provides=tuple(name for group in relations(fields.get("Provides", "")) for name in group),
        paths=parse_contents(contents),
    )


def parse_fields(control: str) -> dict[str, str]:
    """Return the fields of one control paragraph; continuation lines are joined by newlines."""
    fields: dict[str, str] = {}
    key = ""
    for line in control.splitlines():
        if line[:1] in " \t" and key:
            fields[key] += "\n" + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def relations(text: str) -> list[tuple[str, ...]]:
    """Return the names in a relation field, one tuple of alternatives per comma; versions are dropped."""
    groups = []
    for group in text.split(","):
        names = [match[1] for part in group.split("|") if (match := _RELATION.match(part))]
        if names:
            groups.append(tuple(names))
    return groups


def parse_contents(listing: str) -> tuple[str, ...]:
    """Return the paths in a ``tar -tv`` listing: modes, owner, size, date, time, ``./path`` and maybe a link."""
    paths = []
    for line in listing.splitlines():
        columns = line.split(None, _LISTING_COLUMNS - 1)
        if len(columns) < _LISTING_COLUMNS:
            continue
        path = columns[-1]
        if line[0] == "l":
            path = path.partition(" -> ")[0]
        elif line[0] == "h":
            path = path.partition(" link to ")[0]
        # tar doubles a backslash, which systemd's unit names hold
        path = merged("/" + path.removeprefix("./").rstrip("/").replace("\\\\", "\\"))
        if path != "/":
            paths.append(path)
    return tuple(paths)


def newest_date(listing: str) -> str:
    """Return the newest ``YYYY-MM-DD HH:MM`` in a listing, empty when it holds none."""
    rows = (line.split(None, _LISTING_COLUMNS - 1) for line in listing.splitlines())
    return max((f"{row[3]} {row[4]}" for row in rows if len(row) == _LISTING_COLUMNS), default="")


def merged(path: str) -> str:
    """Return where a path lies after the /usr merge. The merged folders' own links stay what they are."""
    match = _MERGED.match(path)
    return f"/usr{path}" if match else path

"""What the stand-in's RPMs offer beside their names: sonames up to the target's glibc, and pkg-config modules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GLIBC = re.compile(r"\(GLIBC_(\d+)\.(\d+)(?:\.\d+)?\)")
_PC_FIELD = re.compile(r"^(\w+)\s*[:=]\s*(.*?)\s*$", re.MULTILINE)


def within_glibc(provides: Iterable[str], glibc: tuple[int, int]) -> tuple[str, ...]:
    """Return the provides without symbol versions above the target's glibc, sorted, each once.

    Debian's glibc is newer than EL9's. A binary that needs what EL9 lacks must fail to install here as well.
    """
    return tuple(sorted({line for line in provides if line and not _too_new(line, glibc)}))


def _too_new(provide: str, glibc: tuple[int, int]) -> bool:
    match = _GLIBC.search(provide)
    return match is not None and (int(match[1]), int(match[2])) > glibc


def pkgconfig_provide(stem: str, text: str) -> str:
    """Return what a ``.pc`` file named `stem` offers, as rpm's own generator spells it."""
    fields = dict(_PC_FIELD.findall(text))
    version = re.sub(r"\$\{(\w+)\}", lambda match: fields.get(match[1], ""), fields.get("Version", ""))
    return f"pkgconfig({stem}) = {version}" if version else f"pkgconfig({stem})"

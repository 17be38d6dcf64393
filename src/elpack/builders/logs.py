"""Finds, in a build's log, the lines that say why it failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_END = re.compile(r"^RPM build errors:|^error: Bad exit status|^error: ")
_BUILD_ERRORS = re.compile(r"^RPM build errors:")
_CAUSE = re.compile(
    r"Traceback \(most recent call last\)"
    r"|(?:^|[\s:])(?:fatal )?[Ee]rror:"  # gcc, cmake, pip, ld, rpm
    r"|CMake Error|ModuleNotFoundError|undefined reference|No such file or directory|command not found"
    r"|^FAILED|^E   |\*\*\* \["
)
_REACH = 400
"""How many lines above the end of a failed build a cause is looked for."""


_LAST_BYTES = 1 << 20
_LINE = 500
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\u200d\u2010-\u2027\u2030-\u2065\u2070-\ufffd]")


def last_words(log: Path) -> str:
    """Return the end of a log; "" when there is none. A build may print as much as its limit allows."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_BYTES))
        return file.read().decode(errors="replace")


def relevant(text: str, limit: int = 30) -> str:
    """Return at most about `limit` lines: from the first cause above the failure to rpm's own verdict.

    A long stretch between the two is cut in its middle. A log without any known sign yields its tail. It goes to a
    terminal, so what would do something there is taken out.
    """
    lines = [_UNPRINTABLE.sub("", line)[:_LINE] for line in text.rstrip().splitlines()]
    end = _failure(lines)
    if end is None:
        return "\n".join(lines[-limit:])
    verdict = _verdict(lines, end)
    start = next((i for i in range(max(0, end - _REACH), end) if _CAUSE.search(lines[i])), None)
    region = lines[max(0, end - 10) if start is None else start : end]
    return "\n".join([*_shorten(region, limit - len(verdict)), *verdict])


def _failure(lines: list[str]) -> int | None:
    """Return where rpm starts to complain: after the last command's own output."""
    return next((i for i, line in enumerate(lines) if _END.search(line)), None)


def _verdict(lines: list[str], end: int) -> list[str]:
    """Return what rpm says at the end; its list of errors repeats what stands above it."""
    verdict = [line for line in lines[end:] if line.strip()]
    repeated = next((i for i, line in enumerate(verdict) if i and _BUILD_ERRORS.search(line)), len(verdict))
    return verdict[:repeated][:10]


def _shorten(lines: list[str], limit: int) -> list[str]:
    limit = max(limit, 4)
    if len(lines) <= limit:
        return lines
    head, foot = limit // 2, limit - limit // 2 - 1
    return [*lines[:head], f"… {len(lines) - head - foot} lines …", *lines[-foot:]]

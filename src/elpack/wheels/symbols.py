"""Why a wheel's symbols exceed its platform tag, in words: which file needs what of which library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.errors import Problem
from elpack.wheels.platforms import Family, canonical, platform_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.wheels.elf import Need
    from elpack.wheels.judgement import Verdicts, WheelContent

_GLIBC = re.compile(r"GLIBC_(\d{1,3})\.(\d{1,3})(?:\.\d+)?\Z")
_MARKS = {"GLIBC_ABI_DT_RELR": (2, 36), "GLIBC_ABI_GNU_TLS": (2, 42), "GLIBC_ABI_GNU2_TLS": (2, 42)}
"""What glibc offers beside its versions, and since when."""
_PRIVATE = (999, 0)
_LEAST = {"x86_64": (2, 5), "i686": (2, 5)}
_NAMED = 6
"""Versions of symbols that a message names of one file."""
_LEAST_ELSEWHERE = (2, 17)


def symbol_problems(wheel: WheelContent, tag: str, verdicts: Verdicts) -> Iterator[Problem]:
    """Yield each version of symbols that is not in what a platform tag promises, with the file that needs it."""
    found = False
    for path, elf in wheel.linked.items():
        if needs := sorted((need for need in elf.needs if exceeds(need, tag, verdicts)), key=_newest_first):
            found = True
            yield _problem(wheel, path, needs, tag, verdicts)
    audit = verdicts.audit
    if audit and audit.symbols and not found and not _fits(audit.symbols, tag):
        what = f"its symbols deserve {audit.symbols}, its name promises {platform_of(tag)}"
        yield Problem(what, wheel.filename, "auditwheel says so", f"give it the tag {audit.symbols}, or compile anew")


def exceeds(need: Need, tag: str, verdicts: Verdicts) -> bool:
    """Tell whether a platform tag promises no such version of symbols."""
    platform = platform_of(tag)
    glibc = glibc_of(need.version)
    if platform.family is Family.MUSLLINUX:
        return glibc is not None
    if glibc is not None:
        return platform.version is not None and glibc > platform.version
    library, _, version = need.version.partition("_")
    known = verdicts.policies.get(canonical(tag), {}).get(library)
    return known is not None and version not in known


def glibc_of(version: str) -> tuple[int, int] | None:
    """Return the glibc that has a version of symbols, None for another library's; a private one no glibc promises."""
    if version in _MARKS:
        return _MARKS[version]
    if match := _GLIBC.match(version):
        return int(match[1]), int(match[2])
    return _PRIVATE if version.startswith("GLIBC_") else None


def floor(wheel: WheelContent, arch: str) -> str:
    """Return the platform tag of the oldest glibc that has all symbols; other libraries are not looked at."""
    found = [glibc for elf in wheel.linked.values() for need in elf.needs if (glibc := glibc_of(need.version))]
    least = max([*found, _LEAST.get(arch, _LEAST_ELSEWHERE)])
    return f"linux_{arch}" if least == _PRIVATE else f"manylinux_{least[0]}_{least[1]}_{arch}"


def _problem(wheel: WheelContent, path: str, needs: list[Need], tag: str, verdicts: Verdicts) -> Problem:
    platform = platform_of(tag)
    first, glibc = needs[0], glibc_of(needs[0].version)
    named = f" ({', '.join(first.symbols)})" if first.symbols else ""
    others = ", ".join(one.version for one in needs[1:_NAMED])
    also = f", and {others} as well" if others else ""
    if platform.family is Family.MUSLLINUX:
        what = f"{path} needs {first.version}{named} of glibc, and {platform} has musl"
        return Problem(
            what, wheel.filename, "it was compiled on a system with glibc", "compile it in a musllinux image"
        )
    audited = verdicts.audit.overall if verdicts.audit else ""
    best = audited or (floor(wheel, platform.arch) if glibc else "")
    instead = f"; it would be {platform_of(best)}" if best and platform_of(best).version else ""
    what = f"{path} needs {first.version}{named} of {first.library}, which {platform} does not have{also}{instead}"
    if glibc == _PRIVATE:
        return Problem(what, wheel.filename, "no glibc promises what is private to it", "do without these symbols")
    older = f"compile it against an older library: in the image {platform.tag}, or by zig for that glibc"
    fix = f"{older}; or give it the tag that it deserves, {best}" if instead else older
    return Problem(what, wheel.filename, "it was compiled on a newer system", fix)


def _newest_first(need: Need) -> tuple[int, int, str]:
    major, minor = glibc_of(need.version) or (0, 0)
    return (-major, -minor, need.version)


def _fits(tag: str, claimed: str) -> bool:
    """Tell whether a tag's promise is at least that of the claimed one."""
    one, other = platform_of(tag), platform_of(claimed)
    return one.version is not None and other.version is not None and one.version <= other.version

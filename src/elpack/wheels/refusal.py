"""What cibuildwheel and auditwheel said, in a user's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.errors import Problem

if TYPE_CHECKING:
    from elpack.wheels.model import Cell

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINES = 12
_KNOWN = (
    (
        "a pure Python wheel was generated",
        "its build compiled nothing, though its source tells of machine code",
        "its build hook left the extension out, or a variable told it to",
        "see what the hook says in the log; a package that is meant to be pure needs no cibuildwheel",
    ),
    (
        "too-recent versioned symbols",
        "it uses newer symbols of glibc than {platform} allows",
        "it was linked with libraries that are not those of the platform",
        "build it in the platform's own image, or name a newer platform in wheels.policies",
    ),
    (
        "could not be located",
        "it needs a shared library that is not there, so that it cannot be put into the wheel",
        "",
        "let the build bring the library, or link it statically",
    ),
    (
        "doesn't exist in image",
        "the image has no {interpreter}",
        "cibuildwheel knows of it, and this image is older or another one",
        "take {interpreter} out of wheels.interpreters, or another image",
    ),
    (
        "No matching distribution found for",
        "a build requirement is not in pylock.wheels.toml",
        "builds have no network: what they may install is locked",
        "elpack lock",
    ),
    (
        "depends on black-listed symbols",
        "it uses symbols that {platform} forbids in a library that it allows",
        "such symbols are private, or differ from system to system",
        "build it against the library's public interface, or bring the library into the wheel",
    ),
    (
        "depends on unsupported ISA extensions",
        "it needs a newer processor than {platform} promises",
        "it was compiled with -march=x86-64-v2 or above, or links something that was",
        "take -march out of the build's flags ([wheels] environment), for the whole of it",
    ),
    (
        "annot repair",
        "auditwheel cannot make it fit {platform}",
        "the wheel, or a library that would go into it, does not keep to the platform",
        "`auditwheel show` tells what it asks for; build it in the platform's image, or name a newer one in policies",
    ),
)


def explained(cell: Cell, log: str, where: str) -> Problem:
    """Return why there is no wheel: the first known reason that the log tells, else its end."""
    text = _COLOUR.sub("", log)
    tail = "\n".join(line for line in text.rstrip().splitlines()[-_LINES:] if line.strip())
    for sign, what, why, fix in _KNOWN:
        if sign in text:
            told = what.format(platform=cell.platform, interpreter=cell.interpreter)
            line = next((one.strip() for one in text.splitlines() if sign in one), "")
            return Problem(f"{cell.package}: {told}\n{line}", where, why, fix.format(interpreter=cell.interpreter))
    return Problem(f"{cell.package}: no wheel for {cell.identifier}\n{tail}", where, fix=f"the whole log: {where}")

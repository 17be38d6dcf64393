"""What a spec asks for while it is built: its %generate_buildrequires section, asked in rounds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.builders.staging import results
from elpack.errors import BuildError, Problem
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders import BuildJob
    from elpack.run import Runner

ROUNDS = 10
"""How often a build may ask for more; mock's own limit. Python's backends need two or three."""

SATISFIED, MISSING = 0, 11
"""What rpmbuild -br ends with: nothing is missing, or the .buildreqs.nosrc.rpm says what is."""

_SECTION = re.compile(r"^%generate_buildrequires\b", re.MULTILINE)
_ASKED = ".buildreqs.nosrc.rpm"
_PLAIN = re.compile(r"[A-Za-z0-9_/(][^\x00-\x1f\x7f]*")
_WILD = re.compile(r"[\[*?]")


def is_dynamic(job: BuildJob) -> bool:
    """Tell whether the job's spec has the section. A missing spec is told when it is staged."""
    try:
        return bool(_SECTION.search(job.spec.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return False


def asked(job: BuildJob, place: Path, runner: Runner) -> tuple[str, ...]:
    """Return what rpmbuild -br left in `place` as requirements, sorted, and take the package away.

    What the section prints comes from the source's own code and goes to dnf on the host: raises `BuildError`
    for what dnf would take for an option, a group, a file or an address.
    """
    found = [path for path in results(job, place) if path.name.endswith(_ASKED)]
    requires = {require for header in read_headers(found, runner) for require in header.requires}
    for path in found:
        path.unlink()
    wrong = sorted(require for require in requires if not is_package(require))
    if wrong:
        raise BuildError(
            *(
                Problem(f"%generate_buildrequires asks for {require!r}, which is no package", job.name)
                for require in wrong
            )
        )
    return tuple(sorted(requires))


def is_package(require: str) -> bool:
    """Tell a requirement from what dnf would take for an option, a group, a file or an address."""
    return bool(_PLAIN.fullmatch(require)) and "://" not in require and not require.endswith(".rpm")


def with_asked(job: BuildJob, more: tuple[str, ...]) -> BuildJob:
    """Return the job as if its spec had named these requirements: what repeats the build needs no rounds."""
    return replace(job, requires=tuple(dict.fromkeys((*job.requires, *more))))


def installable(require: str) -> tuple[str, ...]:
    """Return how dnf is asked for a requirement.

    dnf takes ``[`` for a pattern, and what holds one not for a rich dependency. So an extra's name is escaped,
    and its two bounds are asked for one by one. rpmbuild has the last word: it checks the requirement itself.
    """
    if not _WILD.search(require):
        return (require,)
    if not require.startswith("("):
        return (_escaped(require),)
    bounds = re.split(r" with ", re.sub(r"^\(+|\)+$", "", require))
    return tuple(_escaped(_balanced(bound)) for bound in bounds)


def as_asked(text: str) -> str:
    """Return dnf's words with requirements as they were before `installable`."""
    return re.sub(r"\[([\[*?])\]", r"\1", text)


def _balanced(term: str) -> str:
    """Return one bound without what is left of the parentheses around it; of alternatives, the package's name."""
    name, _, rest = term.lstrip("(").partition(" ")
    name += ")" * (name.count("(") - name.count(")"))
    return name if " or " in rest or not rest else f"{name} {rest.rstrip(')')}"


def _escaped(require: str) -> str:
    return _WILD.sub(lambda match: f"[{match[0]}]", require)

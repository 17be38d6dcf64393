"""Where elpack's requirements differ from those of rpm's own generator, each kind with an example and its reason.

docs/reference/requirements.md lists the same, with the number of times that each occurs in crossbar's closure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Difference:
    """A kind: an example, the pattern of what both say of it (X is the dist), and why ours is right."""

    kind: str
    example: str
    pattern: str
    why: str


_V = r"(?P<v>(?:[0-9]+:)?[0-9]+(?:\.[0-9]+)*)"  # a release, such as 1.2; (?P=v) is the same again
_S = r"(?P<s>[0-9:.]+(?:[~^]+[a-z]+[0-9]+)?)"  # any version as Provides spell it

CLAUSES = (
    Difference(
        "an upper bound",
        "x<2.0",
        rf"X < {_V} -> X < (?P=v)~~",
        "PEP 440 leaves the pre-releases of V out of `<V`, and those of the next series out of `~=` and `==V.*`",
    ),
    Difference(
        "a prefix",
        "x==1.2.*",
        rf"X >= {_V} -> X >= (?P=v)~~",
        "PEP 440 takes the pre-releases of V into `==V.*`",
    ),
    Difference(
        "above a release",
        "x>1.2",
        rf"X > {_V} -> X > (?P=v)\.0",
        "PEP 440 leaves the post-releases of V out of `>V`",
    ),
    Difference(
        "an excluded prefix",
        "x!=1.2.*",
        rf"\(X < {_V} or X > (?P<w>[0-9:.]+)\) -> \(X < (?P=v)~~ or X >= (?P=w)~~\)",
        "theirs excludes the first version after the prefix as well, and lets the prefix's pre-releases in",
    ),
    Difference(
        "a development release of a post-release",
        "x<=1.2.post3.dev4",
        rf"X (?P<sign>[<>])=? {_V}~~dev[0-9]+ -> X (?P=sign)=? (?P=v)\^post[0-9]+",
        "theirs forgets the post-release, and so speaks of versions before V",
    ),
    Difference(
        "above a development release of a pre-release",
        "x>1.2a3.dev4",
        rf"X > {_S} -> X >= (?P=s)",
        "1.2a3 is above 1.2a3.dev4, which theirs takes for the same",
    ),
    Difference(
        "below a post-release of a pre-release",
        "x<1.2a3.post4",
        rf"X < {_S} -> X <= (?P=s)",
        "1.2a3 is below 1.2a3.post4, which theirs takes for the same",
    ),
    Difference(
        "an exclusion that Provides cannot tell",
        "x!=1.2+local",
        rf"\(X < {_S} or X > (?P=s)\) -> X",
        "theirs excludes 1.2, which the requirement accepts",
    ),
)
"""About the versions of one dist."""

WHOLE = (
    Difference(
        "the Python's last number",
        'x; python_full_version < "3.12.1"',
        "python3.12dist(x) -> ",
        "theirs takes 3.12 for the full version of Python 3.12, and what is below 3.12.1 is not",
    ),
    Difference(
        "an extra's name",
        "x[a_b]",
        "python3.12dist(x), python3.12dist(x[a_b]) -> python3.12dist(x), python3.12dist(x[a-b])",
        "PEP 685: `a_b`, `a.b` and `A-b` are one extra; theirs only takes capitals away",
    ),
    Difference(
        "a URL",
        "x @ https://example.com/x.tar.gz",
        "python3.12dist(x) -> ValueError",
        "no RPM can tell that it comes from there; a human decides which version it is",
    ),
    Difference(
        "an arbitrary version",
        "x===weird",
        "failed: Cannot process Python package version `weird` for name `python3.12dist(x)` -> ValueError",
        "no Provides can say it; theirs ends the build",
    ),
    Difference(
        "a malformed requirement",
        "x >>> 1",
        "failed -> ",
        "installers ignore it, and the dist was tested without it; theirs ends the build",
    ),
)
"""About a requirement as a whole: what they and we print for it."""

ALWAYS_TRUE = Difference(
    "a metapackage's other requirements",
    'x; python_version > "3"',
    "python3.12dist(x) -> ",
    "theirs repeats for an extra what has a marker and holds without the extra; the dist itself requires it",
)


def explain(theirs: frozenset[str], ours: frozenset[str]) -> Iterator[str]:
    """Yield the kind of each difference between two sets of clauses about one dist; '?' is none of them."""
    explained: set[str] = set()
    for clause in sorted(theirs - ours):
        # what theirs says twice in one way, ours may say in two, of which one is also theirs
        pairs = [(one, other) for other in (*sorted(ours - theirs), *sorted(ours & theirs), "X") for one in CLAUSES]
        found = [(one.kind, other) for one, other in pairs if _explains(one, clause, other)]
        yield found[0][0] if found else f"? {clause} -> {sorted(ours)}"
        explained.update(other for _, other in found[:1])
    for clause in sorted(ours - theirs - explained):
        kinds = [one.kind for one in CLAUSES for other in sorted(theirs) if _explains(one, other, clause)]
        yield kinds[0] if kinds else f"? {sorted(theirs)} -> {clause}"


def _explains(one: Difference, theirs: str, ours: str) -> bool:
    return re.fullmatch(one.pattern, f"{theirs} -> {ours}") is not None

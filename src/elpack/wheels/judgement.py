"""What a wheel or an sdist for an index is, and what was found out about it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elpack.errors import Problem
    from elpack.model import SdistFacts, WheelFacts
    from elpack.wheels.elf import Elf
    from elpack.wheels.sdist_files import Difference

NOT_BINARY = "skipped because not binary"


class Verdict(StrEnum):
    """How a judgement ended."""

    PASSED = "passed"
    REFUSED = "refused"


class Severity(StrEnum):
    """What a finding means for the file."""

    ERROR = "error"
    """It is refused."""
    NOTICE = "notice"
    """It is told, and no more."""


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One entry of a wheel as its zip has it, in its order. `time` in epoch seconds as if it were UTC."""

    path: str
    time: int
    mode: int
    system: int = 3
    """What made it, as zip counts: 3 is Unix."""


@dataclass(frozen=True, slots=True)
class WheelContent:
    """One wheel: its facts, what its WHEEL file says, the machine code in it by path, and its zip.

    broken: ELF files that cannot be read, and why. sboms: paths in its dist-info/sboms; unread: those among them that
    are no CycloneDX.
    """

    facts: WheelFacts
    tags: frozenset[str]
    said_tags: frozenset[str]
    generator: str
    code: Mapping[str, Elf] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    members: tuple[ZipMember, ...] = ()
    sboms: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """The wheel's file name."""
        return self.facts.filename

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of its file name, sorted."""
        return tuple(sorted({tag.rpartition("-")[2] for tag in self.tags}))

    @property
    def linked(self) -> dict[str, Elf]:
        """The machine code that a system could load, by path."""
        return {path: elf for path, elf in sorted(self.code.items()) if elf.linked}


@dataclass(frozen=True, slots=True)
class Audit:
    """What auditwheel says of a wheel. `overall` is the best platform tag that it deserves, "" when it refuses to say.

    eliminate: libraries from outside that keep it from a tag, by that tag; forbidden: symbols that no portable wheel
    may ask for, in the same way. raw: its whole answer.
    """

    overall: str = ""
    symbols: str = ""
    eliminate: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forbidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsupported_isa: bool = False
    error: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Abi3:
    """What abi3audit says of one extension module: the Python it is for, that which it needs, symbols outside."""

    name: str
    is_abi3: bool
    baseline: str
    computed: str
    outside: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the field's own judges say of one file; None: that judge was not asked.

    twine: its complaints, none when it is content. policies: the versions of symbols that auditwheel's policies let
    through, by platform tag and library of symbols, such as GLIBCXX.
    """

    audit: Audit | None = None
    abi3: tuple[Abi3, ...] | None = None
    twine: tuple[str, ...] | None = None
    policies: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found."""

    rule: str
    severity: Severity
    problem: Problem


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found out about one file.

    tag: that of its file name, without name and version; deserved: the one that its content deserves. binary: what its
    judgement as a binary gave, or that there was none. checks: each judge, and what it said in a word or two.
    """

    file: str
    kind: str
    tag: str
    deserved: str
    binary: str
    findings: tuple[Finding, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Refused as soon as there is one error."""
        return Verdict.REFUSED if self.problems else Verdict.PASSED

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every error."""
        return tuple(one.problem for one in self.findings if one.severity is Severity.ERROR)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "file": self.file,
            "kind": self.kind,
            "tag": self.tag,
            "deserved": self.deserved,
            "verdict": self.verdict.value,
            "binary": self.binary,
            "checks": dict(sorted(self.checks.items())),
            "findings": [
                {
                    "rule": one.rule,
                    "severity": one.severity.value,
                    "what": one.problem.what,
                    "where": one.problem.where,
                    "why": one.problem.why,
                    "fix": one.problem.fix,
                }
                for one in self.findings
            ],
            "auditwheel": dict(self.audit),
        }


@dataclass(frozen=True, slots=True)
class SdistContent:
    """One sdist: its facts, and the wheels of the same dist beside it.

    times: the different times of its members, in epoch seconds; files: their paths below its folder; checkout:
    differences from the repository's tracked files, None where none is known.
    """

    facts: SdistFacts
    times: frozenset[int] = frozenset()
    files: frozenset[str] = frozenset()
    wheels: tuple[WheelContent, ...] = ()
    checkout: tuple[Difference, ...] | None = None

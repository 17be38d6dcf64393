"""What a dist carries of others: what its wheel tells, and what an override proves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.model import SdistFacts, Trace, WheelFacts
from elpack.sbom.purls import bundled_purl, with_version

if TYPE_CHECKING:
    from packageurl import PackageURL

    from elpack.model import Sha256
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package

OVERRIDE = "override"
"""The trace of what an override file says and proves."""


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """What tells of a part: how, the path in the dist's file, the text found there and the digest of that path."""

    trace: str
    file: str
    text: str
    sha256: str
    source: str


@dataclass(frozen=True, slots=True)
class Part:
    """Somebody else's work inside a dist. `version` is empty where nothing tells it."""

    name: str
    version: str
    purl: PackageURL | None
    licence: str
    proofs: tuple[Proof, ...]

    @property
    def sha256(self) -> str:
        """The digest of a part that is a file of its own, such as a library of auditwheel's."""
        own = {proof.sha256 for proof in self.proofs if ".libs/" in proof.file}
        return own.pop() if len(own) == 1 else ""


def parts_of(inputs: Inputs, package: Package) -> tuple[Part, ...]:
    """Return the parts of a dist by name and version; one that several things tell of is there once."""
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in _all(inputs, package):
        found[str(part.purl or part.name), part.version].append(part)
    return tuple(_merged(found[key]) for key in sorted(found))


def unread_of(inputs: Inputs, package: Package) -> tuple[str, ...]:
    """Return the SBOMs in a dist's wheel that could not be read, or not to the end."""
    facts = _facts(inputs, package)
    carried = facts.carried if isinstance(facts, WheelFacts) else ()
    return tuple(one.file for one in carried if one.trace is Trace.UNREAD)


def _all(inputs: Inputs, package: Package) -> list[Part]:
    facts = _facts(inputs, package)
    found = []
    if isinstance(facts, WheelFacts):
        for one in facts.carried:
            if one.trace is not Trace.UNREAD:
                purl = with_version(one.purl, one.version) if one.purl else None
                proof = Proof(one.trace, one.file, one.text, one.sha256, one.source)
                found.append(Part(one.name, one.version, purl, one.licence, (proof,)))
    override = inputs.overrides.get(package.dist)
    if isinstance(facts, SdistFacts) and override is not None:
        for entry in override.bundled:
            proof = Proof(OVERRIDE, entry.file, entry.text, "", entry.reason)
            purl = bundled_purl(entry.name, entry.version)
            found.append(Part(purl.name, entry.version, purl, "", (proof,)))
    return found


def _facts(inputs: Inputs, package: Package) -> WheelFacts | SdistFacts | None:
    digests: list[Sha256] = [source.sha256 for source in package.sources]
    return next((inputs.facts[digest] for digest in digests if digest in inputs.facts), None)


def _merged(same: list[Part]) -> Part:
    proofs = {proof for part in same for proof in part.proofs}
    licence = next((part.licence for part in same if part.licence), "")
    return Part(same[0].name, same[0].version, same[0].purl, licence, tuple(sorted(proofs)))

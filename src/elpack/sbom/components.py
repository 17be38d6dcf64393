"""The components of a bill of materials: an RPM, a dist, a part of a dist, a package of the target's own."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.component_evidence import (
    AnalysisTechnique,
    ComponentEvidence,
    Identity,
    IdentityField,
    Method,
    Occurrence,
)
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.model.license import LicenseExpression

from elpack.escape import safe_url
from elpack.model import Trace
from elpack.sbom.parts import OVERRIDE, parts_of, unread_of
from elpack.sbom.purls import pypi_purl, rpm_purl, target_purl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packageurl import PackageURL

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package, Plan
    from elpack.sbom.parts import Part, Proof

_LONGEST = 200
_METHODS = {
    Trace.SBOM: (AnalysisTechnique.ATTESTATION, "0.9"),
    Trace.LIBRARY: (AnalysisTechnique.FILENAME, "0.6"),
    Trace.METADATA: (AnalysisTechnique.MANIFEST_ANALYSIS, "0.9"),
    Trace.CODE: (AnalysisTechnique.BINARY_ANALYSIS, "0.9"),
    Trace.REVIEWED: (AnalysisTechnique.BINARY_ANALYSIS, "0.8"),
    OVERRIDE: (AnalysisTechnique.SOURCE_CODE_ANALYSIS, "1"),
}
"""How each trace was found, and how far it can be trusted."""


def rpm_component(
    plan: Plan, inputs: Inputs, package: Package, *, name: str = "", arch: str = "", sha256: str = ""
) -> Component:
    """Return the component of an RPM: the package's own, or a subpackage by name. `sha256` is that before signing."""
    purl = rpm_purl(plan, package, name, arch)
    dist = () if name and name != package.rpm else _dists_in(plan, package)
    return Component(
        name=name or str(package.rpm),
        version=str(package.evr),
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        group=None,
        description=package.summary,
        supplier=supplier(inputs.release.packager),
        scope=ComponentScope.REQUIRED,
        hashes=_hashes(sha256),
        licenses=_licence(package.licence.expression),
        external_references=_references(package.url),
        properties=[
            Property(name="elpack:node", value=package.node),
            *(Property(name="elpack:purl:pypi", value=str(pypi_purl(one.dist, one.upstream_version))) for one in dist),
        ],
    )


def _dists_in(plan: Plan, package: Package) -> tuple[Package, ...]:
    """Return the dist that a package delivers; a bundle's are told by its dependencies, as there are many."""
    return (package,) if package in dists_of(plan) else ()


def dists_of(plan: Plan) -> tuple[Package, ...]:
    """Return the packages that are dists for hosts, each once."""
    roles = {"first-party", "third-party", "application"}
    return tuple(package for package in plan.packages if package.role.value in roles)


def dist_component(plan: Plan, inputs: Inputs, package: Package, carrier: Package) -> Component:
    """Return the component of a dist as its upstream published it, and name the RPM that delivers it."""
    purl = pypi_purl(str(package.dist), package.upstream_version)
    source = package.sources[0]
    facts = inputs.facts.get(source.sha256)
    licence = package.licence
    return Component(
        name=str(package.dist),
        version=package.upstream_version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        description=package.summary,
        publisher=_plain(facts.metadata.author) or None if facts is not None else None,
        scope=ComponentScope.REQUIRED,
        hashes=_hashes(source.sha256),
        licenses=_licence(licence.expression),
        external_references=[
            *_references(package.url),
            *_distribution(source.url, source.sha256),
            *_vcs(inputs, package),
        ],
        properties=[
            Property(name="elpack:purl:rpm", value=str(rpm_purl(plan, carrier))),
            Property(name="elpack:file", value=source.filename),
            Property(name="elpack:policy", value=package.policy),
            Property(name="elpack:licence:reason", value=licence.reason),
            *(Property(name="elpack:sbom:unread", value=path) for path in unread_of(inputs, package)),
        ],
    )


def part_components(inputs: Inputs, package: Package) -> list[Component]:
    """Return the components of what a dist carries of others."""
    holder = str(pypi_purl(str(package.dist), package.upstream_version))
    return [_part(holder, part) for part in parts_of(inputs, package)]


def _part(holder: str, part: Part) -> Component:
    return Component(
        name=part.name,
        version=part.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=f"{holder}#{part.purl or part.name}",
        purl=part.purl,
        scope=ComponentScope.REQUIRED,
        hashes=_hashes(part.sha256),
        licenses=_licence(part.licence),
        evidence=ComponentEvidence(
            identity=[Identity(field=IdentityField.NAME, confidence=_sure(part.proofs), methods=_methods(part.proofs))],
            occurrences=[
                Occurrence(location=proof.file, additional_context=_context(proof)) for proof in _by_file(part.proofs)
            ],
        ),
        properties=[
            Property(name="elpack:inside", value=holder),
            *(Property(name="elpack:trace", value=trace) for trace in sorted({proof.trace for proof in part.proofs})),
        ],
    )


def _by_file(proofs: Iterable[Proof]) -> list[Proof]:
    return list({proof.file: proof for proof in proofs}.values())


def _context(proof: Proof) -> str | None:
    why = proof.source if proof.trace == OVERRIDE or not proof.source else f"version by {proof.source}"
    said = [f"sha256:{proof.sha256}" if proof.sha256 else "", why]
    return "; ".join(filter(None, said)) or None


def _sure(proofs: Iterable[Proof]) -> Decimal:
    return max(Decimal(_METHODS[proof.trace][1]) for proof in proofs)


def _methods(proofs: Iterable[Proof]) -> list[Method]:
    found = sorted({(*_METHODS[proof.trace], proof.text or proof.file) for proof in proofs})
    return [Method(technique=how, confidence=Decimal(sure), value=text) for how, sure, text in found]


def target_component(plan: Plan, name: str) -> Component:
    """Return the component of a package that the target's own repositories bring; its version is theirs to say."""
    purl = target_purl(plan, name)
    return _from_target(name, purl)


def left_component(name: str) -> Component:
    """Return the component of a dist that is left to the target's own packages."""
    return _from_target(name, pypi_purl(name))


def _from_target(name: str, purl: PackageURL) -> Component:
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED,
        properties=[Property(name="elpack:provided-by", value="target")],
    )


def supplier(packager: str) -> OrganizationalEntity:
    """Return who signs the changelogs, out of ``Name <mail>``."""
    name, _, mail = packager.partition(" <")
    return OrganizationalEntity(name=name, contacts=[OrganizationalContact(email=mail.rstrip(">"))])


def cleaned_url(url: str) -> str:
    """Return an http(s) URL without user, password, query and fragment; an empty string for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not host:
        return ""
    return safe_url(urlunsplit((parts.scheme, f"{f'[{host}]' if ':' in host else host}{port}", parts.path, "", "")))


def _hashes(*digests: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests if digest]


def _licence(expression: str) -> Sequence[LicenseExpression]:
    return [LicenseExpression(expression)] if expression else []


def _references(url: str) -> list[ExternalReference]:
    clean = cleaned_url(url)
    return [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(clean))] if clean else []


def _distribution(url: str, sha256: str) -> list[ExternalReference]:
    clean = cleaned_url(url)
    kind = ExternalReferenceType.DISTRIBUTION
    return [ExternalReference(type=kind, url=XsUri(clean), hashes=_hashes(sha256))] if clean else []


def _vcs(inputs: Inputs, package: Package) -> list[ExternalReference]:
    """Return the repository and tag that the release file names for a first-party dist."""
    own = next((one for one in inputs.release.first_party if one.name == package.dist and one.git), None)
    clean = cleaned_url(own.git) if own else ""
    if own is None or not clean:
        return []
    return [ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(clean), comment=_plain(f"tag {own.tag}"))]


def _plain(text: str) -> str:
    """Return text from outside as one printable line."""
    line = " ".join(text.split())
    return re.sub(r"\s+", " ", "".join(char for char in line if char.isprintable()))[:_LONGEST].strip()

"""The document of an image: the application's dists, the RPMs that brought them, and what lies below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

from elpack.images.model import Flavour
from elpack.sbom.components import dists_of
from elpack.sbom.document import Draft, add_carrier, add_dists, rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan
    from elpack.sbom.document import BuiltRpm


@dataclass(frozen=True, slots=True, order=True)
class OsPackage:
    """An RPM in an image that is not the release's: as the image's own database names it."""

    name: str
    evr: str
    arch: str


@dataclass(frozen=True, slots=True)
class Below:
    """The image that another one starts from; digest: ``sha256:…`` of its manifest."""

    name: str
    digest: str


def image_sbom(
    plan: Plan,
    inputs: Inputs,
    flavour: Flavour,
    *,
    rpms: Sequence[BuiltRpm] = (),
    packages: Iterable[OsPackage] = (),
    below: Below | None = None,
) -> str:
    """Return the document of an image. It is JSON, the same for the same plan and packages.

    rpms: the release's own, of flavour `rpm`; packages: the others that the image's database of RPMs names.
    """
    draft = Draft()
    own = {rpm.name for rpm in rpms}
    installed = {one.name: draft.add(_package(plan, one)) for one in sorted(packages) if one.name not in own}
    if flavour is Flavour.RPM:
        roots = add_carrier(draft, plan, inputs, rpms, installed)
    else:
        refs = add_dists(draft, plan, inputs)
        roots = [refs[package.node] for package in dists_of(plan)]
    if below is not None:
        base = draft.add(_base(below))
        draft.needs[base] |= set(installed.values())
        roots.append(base)
    else:
        roots += installed.values()
    return rendered(draft, plan, inputs, roots, f"image-{flavour}")


def _package(plan: Plan, one: OsPackage) -> Component:
    qualifiers = {"arch": one.arch, "distro": plan.target.name}
    epoch, _, evr = one.evr.rpartition(":")
    purl = PackageURL("rpm", plan.target.name, one.name, evr, qualifiers | ({"epoch": epoch} if epoch else {}))
    return Component(
        name=one.name,
        version=one.evr,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED,
        properties=[Property(name="elpack:provided-by", value="target")],
    )


def _base(below: Below) -> Component:
    return Component(
        name=below.name,
        type=ComponentType.CONTAINER,
        bom_ref=f"base:{below.name}",
        scope=ComponentScope.REQUIRED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=below.digest.removeprefix("sha256:"))],
    )

"""Package URLs: of RPMs, of dists, and of what is bundled. Values go in and are encoded as the purl standard says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packageurl import PackageURL

if TYPE_CHECKING:
    from elpack.naming import Evr
    from elpack.plan.model import Package, Plan

_BUNDLED = re.compile(r"(?P<language>[a-z0-9.]+)\((?P<name>[^()]+)\)\Z")
_TYPES = {"npm": "npm", "nodejs": "npm", "crate": "cargo", "golang": "golang", "rubygem": "gem"}
"""The purl types of languages as Fedora's bundled() provides spell them; Python's have a version in their name."""


def rpm_purl(plan: Plan, package: Package, name: str = "", arch: str = "") -> PackageURL:
    """Return the purl of an RPM: of the package's own, or of one of its subpackages by name.

    The namespace is the release, who vends it, and `distro` the target: what no vulnerability feed takes for the
    target vendor's own package.
    """
    qualifiers = {
        "arch": arch or arch_of(plan, package),
        "distro": plan.target.name,
        "upstream": f"{package.nvr}.src.rpm",
    }
    if package.evr.epoch:
        qualifiers["epoch"] = str(package.evr.epoch)
    return PackageURL("rpm", str(plan.release).lower(), name or str(package.rpm), _version(package.evr), qualifiers)


def arch_of(plan: Plan, package: Package) -> str:
    """Return the architecture of a package's RPM as rpm spells it."""
    return "noarch" if package.noarch else plan.target.arch


def target_purl(plan: Plan, name: str) -> PackageURL:
    """Return the purl of an RPM that the target itself brings, in whatever version it has then."""
    return PackageURL("rpm", plan.target.name, name, None, {"arch": plan.target.arch, "distro": plan.target.name})


def pypi_purl(name: str, version: str = "") -> PackageURL:
    """Return the purl of a dist."""
    return PackageURL("pypi", None, name, version or None)


def bundled_purl(name: str, version: str) -> PackageURL:
    """Return the purl of what an override says is bundled, such as ``lmdb`` or ``python3dist(lmdb)``."""
    match = _BUNDLED.match(name)
    if match is None:
        return PackageURL("generic", None, name, version)
    language, inner = match["language"], match["name"]
    if re.fullmatch(r"python[0-9.]*dist", language):
        return pypi_purl(inner, version)
    namespace, _, last = inner.rpartition("/")
    if not last.strip():
        return PackageURL("generic", None, name, version)
    return PackageURL(_TYPES.get(language, "generic"), namespace or None, last, version)


def with_version(purl: str, version: str) -> PackageURL:
    """Return a purl that had no version with one."""
    plain = PackageURL.from_string(purl)
    return PackageURL(plain.type, plain.namespace, plain.name, version or None)


def _version(evr: Evr) -> str:
    return f"{evr.version}-{evr.release}"

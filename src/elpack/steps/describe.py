"""Describes what is handed over: bills of materials, and provenance, signed where the packages are."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from packageurl import PackageURL

from elpack import __version__
from elpack.atomic import write_text
from elpack.dsse import IN_TOTO, Signed, check_envelope, seal
from elpack.listed import IMAGES
from elpack.manifest import digest_of
from elpack.openpgp import dearmour
from elpack.provenance import Artefact, Material, check_subjects, statement, with_signed
from elpack.sbom import BuiltRpm, carrier_sbom, release_sbom
from elpack.sbom.components import cleaned_url, dists_of
from elpack.steps.images.subjects import subjects_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from elpack.model import Target
    from elpack.openpgp import Fingerprint
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package, Plan
    from elpack.session import Session
    from elpack.steps.base import Base
    from elpack.steps.repository import Packages
    from elpack.steps.results import Result
    from elpack.store import StoredFile
    from elpack.tools.gpg import Keyring
    from elpack.workspace import Workspace

SBOMS, PROVENANCE = "sbom", "provenance"
"""The folders of the documents, which are also their kinds in the manifest."""


class FileSigner(Protocol):
    """Signs files."""

    def file(self, path: Path) -> Path:
        """Write a detached, armoured signature of a file beside it, and return that."""
        ...


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a build beside its results: plan, inputs, and the files that went in."""

    plan: Plan
    inputs: Inputs
    release_file: Material
    materials: tuple[Material, ...]

    def write(
        self,
        folder: Path,
        packages: Packages,
        results: Mapping[Path, tuple[Result, StoredFile]],
        signed: Mapping[Path, StoredFile],
    ) -> list[Path]:
        """Write the documents into a folder of results, the provenance not signed yet; return them.

        results: what made each file of `packages`, and the file in the store. signed: the signed copies.
        """
        layout = str(self.plan.layout)
        rpms = [BuiltRpm(path.name, results[path][0].node, results[path][1].sha256) for path in packages.rpms]
        sboms = {layout: carrier_sbom(self.plan, self.inputs, rpms)}
        if self.plan.layout is self.inputs.release.layout:
            sboms["release"] = release_sbom(self.plan, self.inputs)
        artefacts = [
            Artefact(f"{place}/{path.name}", results[path][1].sha256, signed[path].sha256 if path in signed else "")
            for place, paths in packages.places().items()
            for path in paths
        ]
        stated = statement(self.plan, artefacts, self.materials, self.release_file, version=__version__)
        written = [_written(folder / SBOMS / f"{name}.cdx.json", text) for name, text in sboms.items()]
        return [*written, _written(folder / PROVENANCE / f"{layout}.intoto.json", stated)]


def describe(session: Session) -> Description:
    """Return what is known of a session's build before it is handed over."""
    inputs, plan, sources, workspace = (
        session.gathered.inputs,
        session.plan,
        session.gathered.sources,
        session.workspace,
    )
    materials = [*_sources(plan), *_own_files(workspace, plan.target), _base(session.base, "the target")]
    if session.home is not None:  # roots of this machine's architecture shared the work
        materials.append(_base(session.home.base, f"the target for {session.home.target.arch}"))
    if sources.lock is not None and sources.lock.sha256:
        materials.append(Material(f"{inputs.release.application.name}: uv.lock", sources.lock.sha256))
    return Description(plan, inputs, _file(workspace.file, workspace.file.name), tuple(materials))


def signed_provenance(path: Path, signer: FileSigner, fingerprint: Fingerprint) -> Path:
    """Put a statement into a DSSE envelope beside it, as <name>.dsse.json, and return that."""

    def sign(data: bytes) -> Signed:
        with tempfile.TemporaryDirectory(prefix="elpack-dsse-") as scratch:
            encoded = Path(scratch, path.name)
            encoded.write_bytes(data)
            return Signed(fingerprint, dearmour(signer.file(encoded).read_text()))

    return _written(envelope_of(path), seal(IN_TOTO, path.read_bytes(), sign))


def envelope_of(path: Path) -> Path:
    """Return where the envelope of a statement lies."""
    return path.with_name(path.name.replace(".intoto.json", ".dsse.json"))


def renewed_provenance(
    folder: Path, into: Path, signed: Mapping[str, str], signer: FileSigner, fingerprint: Fingerprint
) -> list[Path]:
    """Write the statements of results anew, with the digests of signed copies by path, and sign them."""
    written = []
    for path in sorted((folder / PROVENANCE).glob("*.intoto.json")):
        new = _written(into / PROVENANCE / path.name, with_signed(path.read_text(), signed))
        written += [new, signed_provenance(new, signer, fingerprint)]
    return written


def resign_images(folder: Path, signer: FileSigner, fingerprint: Fingerprint) -> list[Path]:
    """Sign the statements of images in a folder of results anew: what they state is as it was."""
    return [signed_provenance(path, signer, fingerprint) for path in sorted((folder / IMAGES).glob("*.intoto.json"))]


def check_provenance(folder: Path, keyring: Keyring, trusted: Collection[str]) -> int:
    """Return how many files the signed provenance of a folder of results states, all of them as they lie there.

    Raises `VerifyError` with all that is wrong. An envelope that is not there is the manifest's matter.
    """

    def verify(data: bytes, signature: bytes) -> str | None:
        with tempfile.TemporaryDirectory(prefix="elpack-dsse-") as scratch:
            content, detached = Path(scratch, "pae"), Path(scratch, "pae.sig")
            content.write_bytes(data)
            detached.write_bytes(signature)
            return keyring.verify(content, detached)

    count = 0
    envelopes = dict.fromkeys(sorted((folder / PROVENANCE).glob("*.dsse.json")), _packages)
    envelopes |= {path: partial(_image, path) for path in sorted((folder / IMAGES).glob("*.dsse.json"))}
    for path, found in envelopes.items():
        where = str(path.relative_to(folder))
        payload = check_envelope(path.read_text(errors="replace"), verify, trusted, where=where)
        count += len(check_subjects(payload, found(folder), where=where)["subject"])
    return count


def _image(envelope: Path, folder: Path) -> dict[str, str]:
    archive = envelope.with_name(envelope.name.replace(".dsse.json", ".oci.tar"))
    return subjects_of(archive, folder) if archive.is_file() else {}


def _packages(folder: Path) -> dict[str, str]:
    found = (path for place in ("repo", "debug", "srpms", "buildroot") for path in (folder / place).glob("*.rpm"))
    return {str(path.relative_to(folder)): digest_of(path) for path in found}


def _sources(plan: Plan) -> Iterator[Material]:
    dists = {package.node for package in dists_of(plan)}
    for package in plan.packages:
        for position, source in enumerate(package.sources):
            is_dist = position == 0 and (package.node in dists or package.role.value == "buildroot")
            uri = _purl(package, source.filename) if is_dist else ""
            yield Material(source.filename, source.sha256, uri, cleaned_url(source.url))


def _purl(package: Package, filename: str) -> str:
    qualifiers = {"file_name": filename}
    return str(PackageURL("pypi", None, str(package.dist), package.upstream_version, qualifiers))


def _own_files(workspace: Workspace, target: Target) -> Iterator[Material]:
    """Yield what the project itself says about the packages: the build lock, overrides, the changelog."""
    for path in (workspace.build_lock_of(target), workspace.changelog, *sorted(workspace.overrides.glob("*.toml"))):
        if path.exists():
            yield _file(path, str(path.relative_to(workspace.home)))


def _base(base: Base, whose: str) -> Material:
    """Return the target's own packages: by the digest of their repositories' repomd.xml, one after the other."""
    if not base.repositories:  # PyPy's root
        return Material("Debian's packages", base.digest)
    found = [
        {"id": one.id, "url": url} if (url := cleaned_url(one.location)) else {"id": one.id}
        for one in base.repositories
    ]
    return Material(f"repomd.xml of {whose}", base.digest, annotations={"repositories": found})


def _file(path: Path, name: str) -> Material:
    return Material(name, digest_of(path))


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path

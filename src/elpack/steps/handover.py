"""Lays out what is handed over of a finished build, signed or not, and the signed repository to install from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.builders import Repository
from elpack.manifest import MANIFEST, effective, manifest, write_json
from elpack.steps.describe import signed_provenance
from elpack.steps.images.handover import keep_images
from elpack.steps.repository import packages_of, publish
from elpack.steps.sign import RememberingSigner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.plan.model import NodeId, Plan
    from elpack.steps.describe import Description
    from elpack.steps.repository import About, Packages
    from elpack.steps.results import Result
    from elpack.steps.sign import Signer
    from elpack.store import Store, StoredFile


@dataclass(frozen=True, slots=True)
class Handover:
    """What is handed over, and what its files say of themselves. scratch: a folder for copies, on the store's disk."""

    release: Release
    plan: Plan
    results: Mapping[NodeId, Result]
    about: About
    scratch: Path
    description: Description | None = None

    def write(
        self,
        folder: Path,
        specs: Mapping[NodeId, str],
        signer: Signer | None,
        store: Store,
        *,
        earlier: Path | None = None,
    ) -> None:
        """Lay it out in an empty folder: repositories, source RPMs, specs, manifest; signed unless signer is None.

        earlier: results whose images are taken over if they are images of what is laid out here.
        """
        seal = RememberingSigner(signer, store, self.scratch) if signer else None
        packages = packages_of(self.plan, self.results)
        signed = seal.rpms(self._stored(packages.every())) if seal else {}
        publish(_instead(packages, signed), folder, self.about, seal)
        documents = self._describe(folder, packages, signed)
        if seal and signer:
            for path in documents:
                if path.name.endswith(".intoto.json"):
                    signed_provenance(path, seal, signer.key.fingerprint)
        nodes = self.plan.by_node()
        (folder / "specs").mkdir()
        for node, text in specs.items():
            (folder / "specs" / f"{nodes[node].rpm}.spec").write_text(text)
        write_json(folder / "release.json", effective(self.release))
        by, throwaway = (signer.key.fingerprint, signer.throwaway) if signer else ("", False)
        listed = manifest(self.plan, self.results.values(), folder, fingerprint=by, throwaway=throwaway)
        if earlier:
            listed = keep_images(earlier, folder, listed)
        write_json(folder / MANIFEST, listed.as_json())
        if seal:
            seal.file(folder / MANIFEST)

    def write_for_installation(self, folder: Path, signer: Signer, store: Store) -> None:
        """Lay out, in an empty folder, a signed repository of what hosts install, and no more."""
        seal = RememberingSigner(signer, store, self.scratch)
        packages = packages_of(self.plan, self.results).for_installation()
        publish(_instead(packages, seal.rpms(self._stored(packages.every()))), folder, self.about, seal)

    def repository(self, folder: Path) -> Repository:
        """Return what was laid out in a folder as dnf is told of it: to check packages and metadata."""
        return Repository(self.plan.release, str(folder / "repo"), gpgkey=(folder / self.about.key_file).as_uri())

    def _describe(self, folder: Path, packages: Packages, signed: Mapping[Path, StoredFile]) -> list[Path]:
        if self.description is None:
            return []
        made = {file.path: (result, file) for result in self.results.values() for file in result.entry.files}
        return self.description.write(folder, packages, made, signed)

    def _stored(self, paths: Iterable[Path]) -> list[StoredFile]:
        files = {file.path: file for result in self.results.values() for file in result.entry.files}
        return [files[path] for path in paths]


def _instead(packages: Packages, signed: Mapping[Path, StoredFile]) -> Packages:
    return packages.instead({path: file.path for path, file in signed.items()}) if signed else packages

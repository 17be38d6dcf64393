"""Puts together what one air-gap archive holds, signs the list of it, and writes it beside the results."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.delivery import Delivery, delivery_text, fingerprints_text, host_needs, readme_text, sums_text
from elpack.errors import Problem, PublishError
from elpack.images.root import seconds
from elpack.manifest import MANIFEST, read_manifest
from elpack.model import Layout
from elpack.steps.airgap.archive import member, text_member, write_archive
from elpack.steps.airgap.base import base_packages
from elpack.steps.airgap.images import carried_images
from elpack.steps.alone import alone
from elpack.steps.sign import RememberingSigner, signer
from elpack.steps.verify import verify
from elpack.store import Store
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from elpack.config import Release
    from elpack.listed import Manifest
    from elpack.openpgp import Fingerprint
    from elpack.run import Runner
    from elpack.steps.airgap.archive import Member
    from elpack.steps.sign import Signer
    from elpack.tools.rpm import RpmHeader
    from elpack.workspace import Workspace

_WHOLE = ("sbom", "provenance")
"""Folders of the results that go along as they are."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. folders: the results to deliver. with_base: also what a minimal host lacks.

    offline: connect to nothing for that.
    """

    folders: tuple[Path, ...]
    with_base: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """An archive that was made: where it and its fingerprints are, that text, and what the archive holds."""

    archive: Path
    fingerprints: Path
    text: str
    size: int
    packages: int
    images: int
    base: int


def deliver(
    release: Release, workspace: Workspace, wish: Wish, runner: Runner, say: Callable[[str], None] = lambda _: None
) -> tuple[Made, ...]:
    """Make an archive of each folder of results, and return what was made.

    Raises `PublishError` for results that are not signed, or not by the release's key; `VerifyError` for what is not
    as its manifest says.
    """
    manifests = {folder: read_manifest(folder, PublishError) for folder in wish.folders}
    by = signer(release.signing, workspace, runner)
    _must_be_signed(manifests, by, workspace)
    made = []
    with alone(workspace, runner), Store(workspace.store) as store:
        for folder, manifest in manifests.items():
            say(f"verify {folder.relative_to(workspace.dist)}")
            verify(folder, by.trusted, unsigned=False, runner=runner, url=release.publish.url)
            scratch = workspace.work / "airgap"
            scratch.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=scratch) as own:
                seal = RememberingSigner(by, store, workspace.work / "signing")
                one = _Making(release, workspace, wish, runner, folder, manifest, seal, Path(own), say)
                made.append(one.make(by.key.fingerprint))
    return tuple(made)


def _must_be_signed(manifests: Mapping[Path, Manifest], by: Signer, workspace: Workspace) -> None:
    problems = []
    for folder, manifest in manifests.items():
        where = str(folder.relative_to(workspace.dist))
        if not manifest.fingerprint:
            why = "nobody who gets them could tell whose they are"
            problems.append(Problem("these results are not signed", where, why, "elpack sign, then run it again"))
        elif manifest.fingerprint != by.key.fingerprint:
            what = f"{manifest.fingerprint} signed these results, and the list of a delivery would be signed by "
            what += str(by.key.fingerprint)
            fix = "elpack sign; or name that key in [signing] of elpack.toml"
            problems.append(Problem(what, where, "one key must have signed all of a delivery", fix))
    if problems:
        raise PublishError(*problems)


@dataclass(frozen=True, slots=True)
class _Making:
    """One archive in the making. scratch: an empty folder."""

    release: Release
    workspace: Workspace
    wish: Wish
    runner: Runner
    folder: Path
    manifest: Manifest
    seal: RememberingSigner
    scratch: Path
    say: Callable[[str], None]

    def make(self, by: Fingerprint) -> Made:
        paths = sorted((self.folder / "repo").glob("*.rpm"))
        headers = read_headers(paths, self.runner)
        install, version = self._asked_for(headers)
        manifest, label = self.manifest, self._label()
        delivery = Delivery(
            *(manifest.release, label, version, manifest.target, manifest.arch, manifest.layout, by, install),
            throwaway=manifest.throwaway,
            standin=manifest.standin,
            base=self.wish.with_base,
        )
        images = carried_images(self.folder, self.release, self.workspace)
        delivery = replace(delivery, image_key=images.fingerprint)
        members = self._results(delivery) | dict(images.members)
        base: dict[str, Member] = {}
        if self.wish.with_base:
            base = base_packages(
                *(self.release, self.workspace, manifest, self.folder, install, self.seal, self.scratch / "base"),
                offline=self.wish.offline,
                runner=self.runner,
                say=self.say,
            )
        scripts = {name: text_member(_asset(name), runs=True) for name in ("verify", "install")}
        members |= base | scripts | self._texts(delivery, headers)
        members |= self._sums(members)
        archive = self.workspace.dist / delivery.archive
        self.say(f"write {archive.name}")
        digest = write_archive(archive, delivery.name, members, seconds(self.release.date))
        text = fingerprints_text(delivery, digest, *(scripts[name].sha256 for name in ("verify", "install")))
        beside = self.workspace.dist / delivery.fingerprints
        beside.write_text(text)
        got = sum(name.endswith(".rpm") for name in base)
        return Made(archive, beside, text, archive.stat().st_size, len(paths), images.count, got)

    def _label(self) -> str:
        name, layout = self.manifest.release, self.manifest.layout
        return name if layout is self.release.layout else f"{name}-{layout}"

    def _asked_for(self, headers: Sequence[RpmHeader]) -> tuple[tuple[str, ...], str]:
        """Return what dnf is to install, by exact version, and the version of the first of it."""
        nodes = {file.path: file.node for file in self.manifest.files}
        if self.manifest.layout is Layout.SYSTEM:
            wanted = {f"system/{name}" for name in self.release.system_packages()}
            roots = [one for one in headers if nodes[f"repo/{one.path.name}"] in wanted]
        else:
            suffix = "-bundle" if self.manifest.layout is Layout.BUNDLE else ""
            roots = [one for one in headers if one.name == f"{self.release.application.rpm}{suffix}"]
        if not roots:
            what = f"there is no package of {self.release.application.name}"
            raise PublishError(Problem(what, str(self.folder / "repo"), fix="elpack rpm-all, with this elpack.toml"))
        versions = [_version(one) for one in roots]
        names = tuple(f"{one.name}-{version}" for one, version in zip(roots, versions, strict=True))
        main = next((at for at, one in enumerate(roots) if one.name == self.release.application.rpm), 0)
        return names, versions[main].rpartition(":")[2]

    def _results(self, delivery: Delivery) -> dict[str, Member]:
        paths = [path for name in ("repo", *_WHOLE) for path in sorted((self.folder / name).rglob("*"))]
        paths += [self.folder / name for name in (delivery.keys, MANIFEST, f"{MANIFEST}.asc", "release.json")]
        return {str(path.relative_to(self.folder)): member(path) for path in paths if path.is_file()}

    def _texts(self, delivery: Delivery, headers: Sequence[RpmHeader]) -> dict[str, Member]:
        needs = host_needs(
            _all(one.requires for one in headers),
            _all(one.provides for one in headers),
            {*_all(one.files for one in headers), *_all(one.folders for one in headers)},
        )
        texts = {
            "README": readme_text(delivery),
            "DELIVERY": delivery_text(delivery),
            "HOST-NEEDS": "".join(f"{one}\n" for one in needs),
        }
        return {name: text_member(text) for name, text in texts.items()}

    def _sums(self, members: Mapping[str, Member]) -> dict[str, Member]:
        """Return the list of all members, and its signature."""
        path = self.scratch / "SHA256SUMS"
        path.write_text(sums_text({name: one.sha256 for name, one in members.items()}))
        return {one.name: text_member(one.read_text()) for one in (path, self.seal.file(path))}


def _asset(name: str) -> str:
    return (resources.files("elpack.assets") / "airgap" / name).read_text()


def _version(header: RpmHeader) -> str:
    """Return version and release, with the epoch where there is one; each package provides itself."""
    own = f"{header.name} = "
    return next(one.removeprefix(own) for one in header.provides if one.startswith(own))


def _all(parts: Iterable[tuple[str, ...]]) -> list[str]:
    return [one for part in parts for one in part]

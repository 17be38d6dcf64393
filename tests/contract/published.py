"""Results of toys as `elpack rpm-all` leaves them, for tests of what is published."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.customer import toy

from elpack.config import parse_release
from elpack.listed import Content, Listed, Manifest
from elpack.manifest import digest_of, list_files, write_json
from elpack.model import Layout
from elpack.steps.repository import About, Packages
from elpack.steps.repository import publish as lay_out
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from elpack.config import Release
    from elpack.steps.sign import Signer

RELEASE = """\
[release]
name = "shop"
date = 2026-11-01
revision = {revision}
packager = "A Packager <packager@example.org>"
[application]
name = "shop"
[first-party]
shop = {{}}
[targets.el9]
python = "3.12"
arches = ["x86_64", "aarch64"]
[targets.el9-standin]
python = "3.11"
arches = ["x86_64"]
"""


@dataclass(frozen=True)
class Factory:
    """Makes results: RPMs named `toy` of a version, signed."""

    home: Path
    signer: Signer

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.home / "elpack.toml", self.home / ".elpack", self.home / "dist")

    def release(self, revision: int = 1, more: str = "") -> Release:
        signing = "" if self.signer.throwaway else f'[signing]\nkey = "{self.signer.key.fingerprint}"\n'
        text = RELEASE.format(revision=revision) + signing + more
        (self.home / "elpack.toml").write_text(text)
        return parse_release(text)

    def built(self, version: str) -> list[Path]:
        folder = self.home / "built" / f"toy-{version}"
        if not folder.exists():
            toy(folder.parent, version)
        return sorted(folder.glob("*.rpm"))

    def make(
        self,
        version: str,
        place: str = "el9/x86_64",
        *,
        signed: bool = True,
        signer: Signer | None = None,
    ) -> Path:
        """Write dist/<place>/ with RPMs of this version; replace what is there."""
        folder = self.workspace.dist / place
        shutil.rmtree(folder, ignore_errors=True)
        kept = self.home / "made" / version
        usual = signed and signer is None and place == "el9/x86_64"
        if usual and kept.exists():
            return Path(shutil.copytree(kept, folder))
        files = self.built(version)
        seal = signer or self.signer
        copies = dict(zip(files, seal.rpms(files, self.home / "signed"), strict=True))
        put = copies if signed else {path: path for path in files}
        rpms = tuple(put[path] for path in files if not path.name.endswith(".src.rpm"))
        srpms = tuple(put[path] for path in files if path.name.endswith(".src.rpm"))
        folder.mkdir(parents=True)
        about = About("shop", "shop", "shop for a test", folder.as_uri())
        lay_out(Packages(rpms, (), srpms), folder, about, seal if signed else None)
        self._manifest(folder, version, put, seal if signed else None)
        (folder / "logs").mkdir()
        (folder / "logs" / "smoke.log").write_text("not for customers\n")
        if usual:
            shutil.copytree(folder, kept)
        return folder

    def _manifest(self, folder: Path, version: str, put: dict[Path, Path], seal: Signer | None) -> None:
        target, arch, *layout = folder.relative_to(self.workspace.dist).parts
        write_json(folder / "release.json", {"name": "shop"})
        built = {path.name: Listed("", Content(path.stat().st_size, digest_of(path))) for path in put}
        manifest = Manifest(
            *("1", "shop", version, Layout(*(layout or ["stack"])), target, "3.12", arch),
            standin=target.endswith("-standin"),
            files=tuple(list_files(folder, built, signed=bool(seal))),
            fingerprint=seal.key.fingerprint if seal else "",
            throwaway=bool(seal and seal.throwaway),
        )
        write_json(folder / "manifest.json", manifest.as_json())
        if seal:
            seal.file(folder / "manifest.json")


def seen(folder: Path) -> dict[str, bytes | str]:
    """Return all that lies below a folder, links as their goals, without elpack's own bookkeeping."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(".elpack"):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def rewritten(path: Path, signer: Signer, **changes: object) -> None:
    """Change keys of a manifest and sign it again."""
    write_json(path, {**json.loads(path.read_text()), **changes})
    signer.file(path)

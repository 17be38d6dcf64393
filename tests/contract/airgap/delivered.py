"""A small release with packages and images, delivered as an air-gap archive, and the scripts in it at a customer's."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.customer import toy
from tests.contract.images.layouts import make_archive
from tests.contract.published import Factory

from elpack.run import run
from elpack.steps.airgap import Made, Wish, deliver
from elpack.steps.sign import throwaway_signer
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.steps.sign import Signer

TOOLS = ("gpg", "gpg-agent", "rpmbuild", "rpmsign", "rpmkeys", "createrepo_c", "openssl", "tar")
IMAGES = "images/shop-1-1-rpm.oci.tar", "images/shop-1-1-uv.oci.tar"


class Shop(Factory):
    """Makes results of the release `shop`: one RPM of that name, and two images."""

    def built(self, version: str) -> list[Path]:
        folder = self.home / "built" / f"shop-{version}"
        if not folder.exists():
            toy(folder.parent, version, name="shop")
        return sorted(folder.glob("*.rpm"))

    def _manifest(self, folder: Path, version: str, put: dict[Path, Path], seal: Signer | None) -> None:
        (folder / "images").mkdir()
        for flavour in ("rpm", "uv"):
            path = folder / "images" / f"shop-{version}-1-{flavour}.oci.tar"
            make_archive(path, layers=(f"{version} {flavour}".encode(), b"two"))
        super()._manifest(folder, version, put, seal)

    def delivery(self, *, with_base: bool = False) -> Made:
        (made,) = deliver(self.release(), self.workspace, Wish((self.folder,), with_base), run)
        return made

    @property
    def folder(self) -> Path:
        return self.workspace.dist / "el9" / "x86_64"


def new_shop(home: Path) -> Shop:
    """Return who makes such results, signed by the throwaway key of a work folder in `home`."""
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    return Shop(home, throwaway_signer(workspace, run))


@dataclass(frozen=True)
class Said:
    """What a script said, and how it ended."""

    code: int
    text: str

    @property
    def problems(self) -> set[str]:
        """What is wrong, each as the script says it, without its last line."""
        lines = [line.removeprefix("verify: ") for line in self.text.splitlines() if line.startswith("verify: ")]
        return {line for line in lines if "THIS IS NOT WHAT WAS SIGNED" not in line}


@dataclass(frozen=True)
class Delivered:
    """An archive unpacked at a customer's. signer: who made it; key: the fingerprint that came by another way."""

    folder: Path
    signer: Signer
    key: str

    @classmethod
    def unpacked(cls, made: Made, signer: Signer, into: Path) -> Delivered:
        into.mkdir(parents=True)
        subprocess.run(("tar", "--extract", "--file", made.archive, "--directory", into), check=True)
        (folder,) = into.iterdir()
        return cls(folder, signer, signer.key.fingerprint)

    def copy(self, into: Path) -> Delivered:
        return Delivered(shutil.copytree(self.folder, into / self.folder.name), self.signer, self.key)

    def verify(self, *arguments: str, script: str = "verify", **variables: str) -> Said:
        return said("sh", str(self.folder / script), *(arguments or (self.key,)), **variables)

    def path(self, pattern: str) -> Path:
        (path,) = self.folder.glob(pattern)
        return path

    def listed_anew(self) -> Delivered:
        """List and sign all as it lies there: what who has the release key can do, or did wrong."""
        sums = self.folder / "SHA256SUMS"
        names = [path.relative_to(self.folder) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = [name for name in names if not name.name.startswith("SHA256SUMS")]
        text = subprocess.run(("sha256sum", *names), cwd=self.folder, capture_output=True, text=True, check=True).stdout
        sums.write_text(text)
        self.signer.file(sums)
        return self


def said(*argv: str, **variables: str) -> Said:
    """Run a program in the root folder, as somebody would who has little in their environment."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables
    done = subprocess.run(argv, cwd="/", env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False)
    return Said(done.returncode, done.stdout)

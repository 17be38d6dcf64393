"""A host that has no network at all, upon which a delivery is installed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.airgap.delivered import Delivered, Said, said

if TYPE_CHECKING:
    from pathlib import Path

ALONE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c")
# a process namespace, so that no agent that dnf has started outlives the test
SCRIPT = """mount -t proc proc /proc; ip -o link; mkdir -p "$1/dev"; mount --rbind /dev "$1/dev"; shift; exec "$@\""""


@dataclass(frozen=True)
class Host:
    """A host without network: a root that dnf fills, and where its temporary folders are."""

    work: Path

    @classmethod
    def new(cls, work: Path) -> Host:
        for name in ("root", "home", "tmp", "bin"):
            (work / name).mkdir(parents=True)
        # Debian's rpm keeps its database in the home folder unless it is told otherwise
        (work / "home" / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
        return cls(work)

    @property
    def root(self) -> Path:
        return self.work / "root"

    def install(self, delivered: Delivered, *arguments: str, root: Path | None = None) -> Said:
        """Run the installer. root: where to, unless it is this host's own."""
        into = ("--root", str(root or self.root))
        command = ("sh", str(delivered.folder / "install"), *into, *arguments, delivered.key)
        path = f"{self.work / 'bin'}:{os.environ['PATH']}"
        variables = {"HOME": str(self.work / "home"), "TMPDIR": str(self.work / "tmp"), "PATH": path}
        return said(*ALONE, SCRIPT, "sh", into[1], *command, **variables)

    def installed(self) -> str:
        """Return the version that was installed, by rpm's database and by the file that it brought; "" for none."""
        define = ("--define", "_dbpath /var/lib/rpm")
        found = said("rpm", *define, "--root", str(self.root), "--query", "--queryformat", "%{VERSION}", "shop")
        data = self.root / "opt" / "shop" / "data"
        if found.code != 0:
            assert not data.exists()
            return ""
        assert data.read_text().startswith(f"{found.text} of shop ")
        return found.text

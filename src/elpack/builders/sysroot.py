"""The root of another architecture that a cross build looks into: of all that is in it, nothing runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.dynamic import installable
from elpack.errors import BuildError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.tools.dnf import Dnf


@dataclass(frozen=True, slots=True)
class Sysroot:
    """One such root, filled by a dnf that runs no scriptlets.

    where: whose it is, for messages. files: a folder to make beside it, which goes when it goes.
    """

    path: Path
    dnf: Dnf
    log: Path
    where: str
    files: Path

    def add(self, requires: Sequence[str]) -> None:
        """Install what a spec requires. Raises `BuildError` for what no repository has."""
        if requires:
            words = [word for require in requires for word in installable(require)]
            self.dnf.install(self.path, words, self.log, self.where)
        _make_links_relative(self.path)

    def libraries(self) -> list[str]:
        """Return the folders where the target's own compiler has its libraries, newest first."""
        found = sorted((path.parent for path in self.path.glob("usr/lib/gcc/*/*/libgcc.a")), reverse=True)
        return [str(path.relative_to(self.path)) for path in found]

    def cxx_headers(self) -> list[str]:
        """Return the folders of the C++ library's headers, in the order in which the target's compiler looks there."""
        found = []
        for path in sorted(self.path.glob("usr/include/c++/*"))[-1:]:
            own = (*self.path.glob(f"usr/include/*-linux-gnu/c++/{path.name}"), *path.glob("*-linux*"))
            found += [path, *sorted(own), path / "backward"]
        return [str(path.relative_to(self.path)) for path in found]


def interpreters(root: Path) -> set[Path]:
    """Return the folders of a root's Pythons that can say how they were compiled."""
    return {path.parent.relative_to(root) for path in root.glob("usr/lib*/python3.*/_sysconfigdata__*.py")}


def settings(root: Path, python: str) -> Path:
    """Return the module of a root's Python that says how it was compiled. Raises `BuildError` when there is none."""
    # a link might lead out of the root, and the build is shown what is found
    found = sorted(path for path in root.glob(f"usr/lib*/{python}/_sysconfigdata__*.py") if not path.is_symlink())
    if not found:
        fix = f"its spec needs BuildRequires: {python}-devel"
        raise BuildError(Problem(f"the sysroot has no {python}", where=str(root), fix=fix))
    return found[0]


def _make_links_relative(root: Path) -> None:
    """Make links to absolute paths lead to the same files from where a build sees the root."""
    for top in ("usr/include", "usr/lib", "usr/lib64"):
        if not (root / top).resolve().is_relative_to(root.resolve()):
            continue  # it leads out of the root
        for text, folders, names in os.walk(root / top):
            for path in (Path(text, name) for name in (*folders, *names)):
                if path.is_symlink() and path.readlink().is_absolute():
                    goal = root / str(path.readlink())[1:]
                    path.unlink()
                    path.symlink_to(os.path.relpath(goal, path.parent))

"""A root with Debian's PyPy: unpacked, never configured, so that it hangs on nothing but the packages."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.images.pypy import BUILD_PACKAGES, DEBIAN
from elpack.intact import is_intact, remember
from elpack.standin.mapping import StandinMapping
from elpack.steps.images.tars import Member
from elpack.steps.standin_fetch import fetch_debian, load_fetched
from elpack.steps.standin_tree import remove_tree
from elpack.store.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from elpack.model import Target
    from elpack.run import Runner
    from elpack.standin.dpkg import Deb
    from elpack.workspace import Workspace

_FORMAT = "1"
"""Raise it when a root would be another one than before."""
_LINKS = {"usr/bin/sh": "bash", "usr/bin/awk": "gawk", "usr/bin/cc": "gcc", "usr/bin/c++": "g++"}
"""What Debian's packages have their alternatives for, which nobody chooses here."""
_CERTIFICATES, _BUNDLE = "usr/share/ca-certificates/mozilla", "etc/ssl/certs/ca-certificates.crt"
_NOT_IN_IMAGES = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "dev", "proc", "run", "sys")
_STATUS = """\
Package: {name}
Status: install ok installed
Version: {version}
Architecture: {arch}
"""
_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class DebianRoot:
    """An unpacked root. digest: of its packages; when: time of the newest file in them, in seconds since 1970."""

    folder: Path
    digest: str
    debs: tuple[Deb, ...]
    when: int


def debian_root(  # noqa: PLR0917 - what is fetched, and where to
    suite: str,
    packages: Iterable[str],
    target: Target,
    workspace: Workspace,
    runner: Runner,
    say: Callable[[str], None],
) -> DebianRoot:
    """Return the root with some of Debian's packages and what they depend on, fetched if no earlier run did.

    Raises `CommandError` when the mirror cannot be had.
    """
    asked = tuple(sorted(packages))
    recipe = "\n".join((_FORMAT, suite, target.arch, *asked))
    work = workspace.work / "pypy"
    work.mkdir(parents=True, exist_ok=True)
    folder = work / f"debian-{suite}-{target.arch}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with locked(work / "pypy.lock"):
        if not folder.exists() or not is_intact(folder):
            say(f"Debian {suite}: {', '.join(asked)}")
            _make(folder, suite, asked, target, runner)
    fetched = load_fetched(folder)
    lines = [recipe, *sorted(f"{deb.name} {deb.version} {deb.sha256}" for deb in fetched.debs)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return DebianRoot(fetched.tree, digest, fetched.debs, fetched.epoch)


def build_root(
    target: Target,
    workspace: Workspace,
    runner: Runner,
    say: Callable[[str], None] = lambda _: None,
    also: Iterable[str] = (),
) -> DebianRoot:
    """Return the root in which everything is unpacked and compiled for PyPy, whichever image it goes into.

    also: more of Debian's packages, for what few builds need.
    """
    return debian_root(DEBIAN, (*BUILD_PACKAGES, *also), target, workspace, runner, say)


def _make(folder: Path, suite: str, packages: tuple[str, ...], target: Target, runner: Runner) -> None:
    partial = folder.with_suffix(".partial")
    for old in (partial, folder):
        if old.exists():
            remove_tree(old)
    partial.mkdir()
    fetch_debian(partial, target, _only(suite, packages), runner)
    tree = partial / "tree"
    for name in ("dev", "var/cache", "var/log", "etc/apt", "etc/hostname", "etc/resolv.conf"):
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name, program in _LINKS.items():
        place = tree / name
        if (place.parent / program).exists() and not os.path.lexists(place):
            place.symlink_to(program)
    _bundle(tree)
    remember(partial, folder)
    partial.rename(folder)


def _only(suite: str, packages: tuple[str, ...]) -> StandinMapping:
    """Return the mapping of packages that are unpacked, not repacked."""
    nothing = re.compile(r"(?!)")
    return StandinMapping(suite, packages, frozenset(), nothing, "", nothing, (), {}, {}, {}, {}, ())


def _bundle(tree: Path) -> None:
    """Write the certificates in one file, as the package's script would."""
    found = sorted((tree / _CERTIFICATES).glob("*.crt"))
    if found:
        bundle = tree / _BUNDLE
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(b"".join(path.read_bytes().rstrip() + b"\n" for path in found))


def image_members(root: DebianRoot, arch: str) -> Iterator[Member]:
    """Yield what an image gets of a root: no documentation and nothing that differs from one unpacking to the next.

    What the packages are stands in ``/var/lib/dpkg/status.d``, where scanners look in images without dpkg.
    """
    for parent, folders, files in os.walk(root.folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            inside = str(path.relative_to(root.folder))
            if inside.startswith("var/lib/dpkg") or _left_out(inside):
                continue
            found = path.lstat()
            mode = stat.S_IFMT(found.st_mode) | (stat.S_IMODE(found.st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
            if stat.S_ISLNK(found.st_mode):
                yield Member(inside, mode, root.when, link=str(path.readlink()))
            elif stat.S_ISDIR(found.st_mode):
                yield Member(inside, mode, root.when)
            else:
                yield Member(inside, mode, root.when, source=path)
    folder = "var/lib/dpkg/status.d"
    for inside in ("var/lib/dpkg", folder):
        yield Member(inside, stat.S_IFDIR | 0o755, root.when)
    for deb in root.debs:
        text = _STATUS.format(name=deb.name, version=deb.version, arch=_ARCHES[arch])
        yield Member(f"{folder}/{deb.name}", stat.S_IFREG | 0o644, root.when, content=text.encode())


def _left_out(inside: str) -> bool:
    if not any(inside.startswith(f"{one}/") for one in _NOT_IN_IMAGES):
        return False
    # a licence stays, and so does the folder that it is in
    return not re.fullmatch(r"usr/share/doc/[^/]+(?:/copyright)?", inside)

"""First-party sources: an sdist from the index, or one made of a checkout or a git tag."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import uv

from elpack.archives import sdist_member
from elpack.errors import BuildError, CommandError, ConfigError, FetchError, MissingMemberError, Problem
from elpack.fetch import fetch_all, find_sdist
from elpack.model import RemoteFile, Sha256
from elpack.run import CLEAN_ENV, Command
from elpack.targets import known_targets

if TYPE_CHECKING:
    from elpack.config import FirstParty, Release
    from elpack.run import Runner
    from elpack.workspace import Workspace

# What reaches the index differs from site to site.
_PASSED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "no_proxy")


def local_source(
    dist: FirstParty, workspace: Workspace, runner: Runner, *, offline: bool = False
) -> tuple[RemoteFile, Path] | None:
    """Return the sdist of a checkout or git tag, freshly made, or None where the index is to be asked.

    The checkout is the user's own: its build backend runs on the host, with build requirements from the index.
    """
    tree = checkout(dist, workspace, runner)
    if tree is None:
        return None
    into = workspace.work / "sdists" / dist.name
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        old.unlink()
    home = workspace.work / "home"
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env = {**CLEAN_ENV, **passed, "HOME": str(home), "SOURCE_DATE_EPOCH": "315532800"}
    log = into.with_suffix(".log")
    log.unlink(missing_ok=True)
    # uv would download a Python for a project that asks for another one than the host has
    options = ("--python", sys.executable, *(("--offline",) if offline else ()))
    alone = _without_own_folders(tree, workspace, dist.name)
    argv = (uv.find_uv_bin(), "build", "--sdist", *options, "--out-dir", str(into), str(alone))
    command = Command(argv, env=env, log=log)
    done = runner(command)
    found = sorted(into.glob("*.tar.gz"))
    if done.returncode != 0 or len(found) != 1:
        what = f"no sdist can be made of the checkout {tree}\n{done.tail()}"
        raise BuildError(Problem(what, where=f"{dist.name} ({log})", fix=f"to see it again: {command}"))
    path = found[0]
    _refuse_own_folders(path, tree, workspace)
    if alone != tree:
        shutil.rmtree(alone)
    _drop_older_twins(path)
    sha256 = Sha256(hashlib.sha256(path.read_bytes()).hexdigest())
    return RemoteFile(path.name, "", sha256, path.stat().st_size), path


def build_files_digest(sdist: Path) -> Sha256:
    """Return the digest of those files of a checkout's sdist that say what its build requires.

    The build lock of a checkout hangs on these alone: its other files change with every edit, and the lock itself may
    be one of them.
    """
    digest = hashlib.sha256()
    for member in ("pyproject.toml", "setup.cfg", "setup.py"):
        try:
            content = sdist_member(sdist, member)
        except MissingMemberError:
            continue
        digest.update(f"{member} {len(content)}\n".encode() + content)
    return Sha256(digest.hexdigest())


def _own_folders(workspace: Workspace, root: Path) -> list[Path]:
    """Return what elpack makes inside a checkout; a `dist` may hold files of the project as well."""
    own = (workspace.work, *(workspace.dist / target for target in known_targets()), workspace.dist / "manifest.json")
    return [path for folder in own if (path := folder.resolve()).is_relative_to(root)]


def _without_own_folders(tree: Path, workspace: Workspace, name: str) -> Path:
    """Return the checkout, or a copy without elpack's own folders if they lie in it; git's objects are hard links.

    Some backends pack everything that git does not ignore, and to change the checkout's .gitignore would make it
    dirty, which is another version to setuptools-scm. A folder below the top of its repository is not copied: it may
    look there for its version or its licence.
    """
    root = tree.resolve()
    own = {path for path in _own_folders(workspace, root) if path.exists()}
    if not own or any((folder / ".git").exists() for folder in root.parents):
        return tree
    copy = workspace.work / "trees" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    # backends that look upwards for a .gitignore find this one, and not that of the work folder, which ignores all
    (copy.parent / ".gitignore").write_text("")

    def left_out(folder: str, names: list[str]) -> list[str]:
        paths = [Path(folder, name) for name in names]
        return [path.name for path in paths if path in own or (path / "pyvenv.cfg").exists()]

    return Path(shutil.copytree(root, copy, symlinks=True, ignore=left_out, copy_function=_link_or_copy))


def _link_or_copy(source: str, destination: str) -> str:
    """Link what git never writes again; a backend that writes a version file must not write the checkout's."""
    if "/.git/objects/" in source:
        with contextlib.suppress(OSError):  # another file system, or a file of another user's
            os.link(source, destination, follow_symlinks=False)
            return destination
    return shutil.copy2(source, destination, follow_symlinks=False)


def _drop_older_twins(sdist: Path) -> None:
    """Keep the last of members with one name, as tar does: of an unpacked sdist hatchling packs two PKG-INFO."""
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        last = {member.name: member for member in members}
        if len(last) == len(members):
            return
        partial = sdist.with_suffix(".partial")
        with (
            partial.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as kept,
        ):
            for member in members:
                if last[member.name] is member:
                    kept.addfile(member, archive.extractfile(member) if member.isreg() else None)
    partial.replace(sdist)


def _refuse_own_folders(sdist: Path, tree: Path, workspace: Workspace) -> None:
    """Raise `BuildError` when a checkout's sdist holds elpack's own work or results, which lie in the same folder."""
    root = tree.resolve()
    own = _own_folders(workspace, root)
    inside = tuple(f"{path.relative_to(root)}{'' if path.suffix == '.json' else '/'}" for path in own)
    if not inside:
        return
    with tarfile.open(sdist, "r|gz") as archive:
        found = next((member.name for member in archive if member.name.partition("/")[2].startswith(inside)), "")
    if found:
        what = f"the sdist of the checkout {tree} holds elpack's own files, such as {found.partition('/')[2]}"
        folders = (path.resolve() for path in (workspace.work, workspace.dist))
        fix = "in the checkout's .gitignore: " + ", ".join(f"/{path.relative_to(root)}/" for path in folders)
        why = "its build backend packs everything that git does not ignore"
        raise BuildError(Problem(what, sdist.name, why, fix=f"{fix} (or what excludes them for its build backend)"))


def checkout(dist: FirstParty, workspace: Workspace, runner: Runner) -> Path | None:
    """Return the folder of a dist's checkout, cloning a git tag if need be; None when there is none."""
    if dist.path:
        tree = workspace.home / dist.path
        return tree if (tree / "pyproject.toml").exists() else None
    if dist.git:
        return _clone(dist, workspace, runner)
    return None


def pinned_sdist(dist: FirstParty, release: Release, workspace: Workspace, *, offline: bool) -> tuple[RemoteFile, Path]:
    """Return an sdist from the index that no lock pins: the release file does, by its sha256."""
    if dist.version is None or dist.sha256 is None:
        raise ConfigError(
            Problem(
                f"{dist.name} comes from the index, so its version and sha256 are needed",
                where=f"elpack.toml: first-party.{dist.name}",
                why="no lock pins it: an application's own lock cannot",
                fix="add version and sha256, or path to a checkout that exists",
            )
        )
    filename = f"{dist.name.replace('-', '_')}-{dist.version}.tar.gz"
    file = RemoteFile(filename, _stable_url(release, filename), dist.sha256)
    known = workspace.downloads / filename
    if known.exists() and hashlib.sha256(known.read_bytes()).hexdigest() == dist.sha256:
        return file, known
    if offline:
        raise FetchError(Problem(f"{filename} is not here, and the run is offline", where=str(known)))
    found = find_sdist(release.index, dist.name, dist.version, dist.sha256)
    return file, fetch_all([found], workspace.downloads)[found.sha256]


def _stable_url(release: Release, filename: str) -> str:
    """Return an address that needs no look-up, so that a spec is the same whether the file was fetched or at hand."""
    if release.index != "https://pypi.org/simple/":
        return ""
    name = filename.rpartition("-")[0]
    return f"https://files.pythonhosted.org/packages/source/{name[0]}/{name}/{filename}"


def _clone(dist: FirstParty, workspace: Workspace, runner: Runner) -> Path:
    # by address and tag: a repository that moved is not the one that was cloned, and a tag may hold slashes
    source = hashlib.sha256(f"{dist.git} {dist.tag}".encode()).hexdigest()[:12]
    tree = workspace.work / "checkouts" / f"{dist.name}-{source}"
    if not tree.exists():
        # only a finished clone gets the final name
        partial = tree.with_name(f"{tree.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        argv = ("git", "clone", "--quiet", "--depth", "1", "--branch", dist.tag, "--", dist.git, str(partial))
        done = runner(Command(argv))
        if done.returncode != 0:
            raise CommandError(
                Problem(
                    f"git cannot fetch tag {dist.tag} of {dist.git}\n{done.tail(5)}",
                    where=f"elpack.toml: first-party.{dist.name}",
                )
            )
        partial.rename(tree)
    return tree

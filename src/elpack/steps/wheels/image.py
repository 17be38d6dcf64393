"""Makes the stand-in for the manylinux images, once for each architecture; none of its programs runs meanwhile."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import stat
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.engine.layers import load_layers
from elpack.errors import Problem, ToolMissingError, WheelError
from elpack.fetch import fetch_all
from elpack.images.annotations import platform_of
from elpack.run import CLEAN_ENV, Command
from elpack.steps.images.tars import Member, write_layer
from elpack.steps.standin_fetch import mirrors
from elpack.store.lock import locked
from elpack.wheels.standin import ZIG, environment_files, header_link, links, programs, site_packages, standin_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.engine import Engine
    from elpack.model import Sha256
    from elpack.run import Runner
    from elpack.workspace import Workspace

_FORMAT = "1"
"""Raise it when the image would be another one than before."""

_FACTS, _SYSTEM, _COMPILER = "image.json", "system", "zig"
_DEB_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_MIRROR = "http://deb.debian.org/debian"
# Debian's packages expect these links; without configuration nobody makes them
_MERGE_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d" || exit 1; done'
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"  # noqa: S105 - the file
_GROUP = "root:x:0:\nnogroup:x:65534:\n"
_TIME = 315_532_800
"""1980, the first year that zip archives know: of all files that are elpack's own."""
_FOLDER, _PROGRAM, _FILE, _LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


@dataclass(frozen=True, slots=True)
class StandinMade:
    """A stand-in image that the engine has. digest: of its manifest; debs: its Debian packages, with versions."""

    reference: str
    digest: str
    debs: tuple[str, ...]


def standin_for(
    arch: str, workspace: Workspace, engine: Engine, runner: Runner, say: Callable[[str], None]
) -> StandinMade:
    """Return the stand-in image of an architecture, made now unless the same was made before.

    Debian's suites move on; an image that is there stays as it is until elpack's definition of it changes, or its
    folder `manylinux` below the work folder is removed. Raises `WheelError`, `FetchError`, `ToolMissingError`.
    """
    definition, home = standin_image(), _home(arch, workspace, runner, say)
    facts = json.loads((home / _FACTS).read_text())
    reference = f"{definition.reference}:{arch}"
    labels = {"io.elpack.standin": definition.title, "io.elpack.layers": " ".join(facts["layers"])}
    if not (engine.has(reference) and _labels(engine, reference) == labels):
        say(f"loading the stand-in manylinux image for {arch}")
        tars = [home / f"{name}.tar" for name in (_SYSTEM, _COMPILER)]
        load_layers(engine, tars, reference, platform_of(arch), _TIME, labels, used_here=True)
    digest = hashlib.sha256("\n".join(facts["layers"]).encode()).hexdigest()
    return StandinMade(reference, digest, tuple(facts["debs"]))


def standin_root(arch: str, workspace: Workspace, runner: Runner, say: Callable[[str], None]) -> Path:
    """Return the stand-in image as a folder, for programs that run in a sandbox. Raises as `standin_for`."""
    home = _home(arch, workspace, runner, say)
    root, partial = home / "root", home / "root.partial"
    with locked(home.parent / f"{arch}.lock"):
        if not root.exists():
            say(f"unpacking the stand-in manylinux image for {arch}")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for name in (_SYSTEM, _COMPILER):
                tar = ("tar", "--extract", "--no-same-owner", f"--file={home / name}.tar", f"--directory={partial}")
                runner(Command(tar, env=CLEAN_ENV)).check()
            partial.rename(root)
    return root


def _home(arch: str, workspace: Workspace, runner: Runner, say: Callable[[str], None]) -> Path:
    """Return the folder of an architecture's image, which is made where it is not there."""
    work = workspace.work / "manylinux"
    work.mkdir(parents=True, exist_ok=True)
    home = work / f"{arch}-{_key(arch)}"
    with locked(work / f"{arch}.lock"):
        if not (home / _FACTS).exists():
            for old in work.glob(f"{arch}-*"):
                shutil.rmtree(old)
            _Making(arch, home.with_suffix(".partial"), workspace, runner, say).make(home)
    return home


def _labels(engine: Engine, reference: str) -> dict[str, str]:
    found = engine.inspect(reference).get("Labels") or {}
    return {key: str(value) for key, value in found.items() if key.startswith("io.elpack.")}


def _key(arch: str) -> str:
    text = resources.files("elpack.wheels").joinpath("standin.toml").read_text()
    return hashlib.sha256("\n".join((_FORMAT, arch, text, *map(str, programs(arch)))).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Making:
    """One image being made, in the folder `partial`."""

    arch: str
    partial: Path
    workspace: Workspace
    runner: Runner
    say: Callable[[str], None]

    def make(self, home: Path) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        tools = self._tools()
        self.say(f"fetching Debian's interpreters for {self.arch}")
        root = self._extracted()
        self.say(f"packing the stand-in manylinux image for {self.arch}")
        debs = sorted(path.stem for path in (root / "var/cache/apt/archives").glob("*.deb"))
        own = {one.path: one for one in self._own(tools)}
        system = {one.path: one for one in _members(root)} | own
        layers = [
            write_layer(_SYSTEM, _with_folders(system).values(), self.partial),
            write_layer(_COMPILER, _with_folders({one.path: one for one in self._zig(tools)}).values(), self.partial),
        ]
        shutil.rmtree(root)
        shutil.rmtree(self.partial / "tools")
        facts = {"layers": [layer.sha256 for layer in layers], "debs": debs}
        write_text(self.partial / _FACTS, json.dumps(facts, indent=1) + "\n")
        self.partial.rename(home)

    def _tools(self) -> dict[str, Path]:
        """Return the unpacked wheels of PyPI, by the name of their dist."""
        files = standin_image().tools
        self.say("fetching the compiler, pip, build and auditwheel")
        paths: dict[Sha256, Path] = fetch_all(list(files.values()), self.workspace.downloads)
        found = {}
        for name, file in files.items():
            found[name] = self.partial / "tools" / name
            with zipfile.ZipFile(paths[file.sha256]) as archive:  # pinned by elpack itself
                archive.extractall(found[name])
        return found

    def _extracted(self) -> Path:
        definition, root, log = standin_image(), self.partial / "root", self.partial / "mmdebstrap.log"
        mirror = _mirror(definition.suites[-1])
        command = (
            *("mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"),
            f"--architectures={_DEB_ARCH[self.arch]}",
            "--skip=check/qemu,cleanup/apt/cache",
            # a mirror that is not updated any more still has what is signed
            '--aptopt=Acquire::Check-Valid-Until "false"',
            f"--setup-hook={_MERGE_USR}",
            f"--include={','.join(definition.every_package())}",
            *(definition.suites[0], str(root)),
            *(f"deb {mirror} {suite} main" for suite in definition.suites),
        )
        passed = {key: os.environ[key] for key in ("http_proxy", "https_proxy", "no_proxy") if key in os.environ}
        try:
            done = self.runner(Command(command, env={**CLEAN_ENV, **passed}, log=log))
        except ToolMissingError as error:
            fix = "install mmdebstrap, or build where the manylinux images can be pulled"
            raise ToolMissingError(Problem("mmdebstrap is not installed", fix=fix)) from error
        if done.returncode != 0:
            what = f"the stand-in manylinux image cannot be made\n{done.tail()}"
            why = "the Debian archive does not answer, or it lacks a package"
            raise WheelError(Problem(what, str(log), why, "set ELPACK_DEBIAN_MIRROR to a mirror that is reached"))
        return root

    def _own(self, tools: dict[str, Path]) -> Iterator[Member]:
        """Yield what is elpack's: interpreters' folders with pip and build, compilers, auditwheel, patchelf."""
        definition = standin_image()
        for path, text in (("etc/passwd", _PASSWD), ("etc/group", _GROUP)):
            yield Member(path, _FILE, _TIME, content=text.encode())
        for path, text in programs(self.arch):
            yield Member(path, _PROGRAM, _TIME, content=text.encode())
        for path, target in (*definition.links.items(), header_link(self.arch)):
            yield Member(path, _LINK, _TIME, link=target)
        for path in ("tmp", "dev", "proc", "sys", "run", "root", "output", "project"):
            yield Member(path, stat.S_IFDIR | (0o1777 if path == "tmp" else 0o755), _TIME)
        yield from _below(tools["patchelf"], "usr/local/bin", "*.data/scripts/patchelf", flat=True)
        for one in definition.interpreters.values():
            for path, text in environment_files(one):
                yield Member(path, _FILE if path.endswith(".cfg") else _PROGRAM, _TIME, content=text.encode())
            for path, target in links(one):
                yield Member(path, _LINK, _TIME, link=target)
            for name in tools.keys() - {"ziglang", "patchelf"}:
                yield from _below(tools[name], site_packages(one), "*")

    @staticmethod
    def _zig(tools: dict[str, Path]) -> Iterator[Member]:
        for one in _below(tools["ziglang"] / "ziglang", ZIG.lstrip("/"), "*"):
            yield Member(one.path, _PROGRAM if one.path == f"{ZIG[1:]}/zig" else _FILE, _TIME, source=one.source)


def _mirror(suite: str) -> str:
    """Return where this machine gets Debian from, or the user's mirror, or Debian's own."""
    first = next(iter(mirrors(suite)), "")
    return first.split()[1] if first.startswith("deb ") else first or _MIRROR


def _below(folder: Path, into: str, pattern: str, *, flat: bool = False) -> Iterator[Member]:
    """Yield the files of an unpacked wheel as members below `into`; scripts are programs."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_file() and fnmatch.fnmatch(inside, pattern):
            place = f"{into}/{path.name}" if flat else f"{into}/{inside}"
            yield Member(place, _PROGRAM if flat else _FILE, _TIME, source=path)


def _members(root: Path) -> Iterator[Member]:
    """Yield what Debian's packages brought, but for what is left out; all of it is root's."""
    patterns = standin_image().leave_out
    for folder, folders, files in os.walk(root):
        base = Path(folder).relative_to(root).as_posix()
        inside = {name: name if base == "." else f"{base}/{name}" for name in (*folders, *files)}
        left = {name for name, path in inside.items() if any(fnmatch.fnmatch(path, one) for one in patterns)}
        folders[:] = [name for name in folders if name not in left and not Path(folder, name).is_symlink()]
        for name in inside.keys() - left:
            found = Path(folder, name).lstat()
            mode = found.st_mode & ~(stat.S_ISUID | stat.S_ISGID)
            if stat.S_ISLNK(mode):
                yield Member(inside[name], _LINK, int(found.st_mtime), link=str(Path(folder, name).readlink()))
            elif stat.S_ISDIR(mode):
                yield Member(inside[name], mode, _TIME)
            elif stat.S_ISREG(mode):
                yield Member(inside[name], mode, int(found.st_mtime), source=Path(folder, name))


def _with_folders(members: dict[str, Member]) -> dict[str, Member]:
    """Add the folders that no member is, above those that are."""
    parents = {parent.as_posix() for path in members for parent in Path(path).parents if parent != Path()}
    return {path: Member(path, _FOLDER, _TIME) for path in parents - members.keys()} | members

"""Make the stand-in EL9 once: Debian's packages repacked under EL9's names, as a dnf repository."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import CommandError, DiskFullError, PrivilegeError, Problem, StandinError, ToolMissingError
from elpack.run import CLEAN_ENV, Command, run
from elpack.standin.mapping import parse_mapping
from elpack.standin.partition import Kind, partition
from elpack.standin.provides import pkgconfig_provide, within_glibc
from elpack.standin.specfile import render_list, render_spec
from elpack.steps.standin_fetch import DEBS, fetch_debian, load_fetched
from elpack.steps.standin_tree import remove_tree, set_times, stage_tree, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.model import Target
    from elpack.run import Runner
    from elpack.standin.mapping import StandinMapping
    from elpack.standin.partition import StandinRpm
    from elpack.steps.standin_fetch import Fetched

Progress = Callable[[str], None]
"""Told in a few words what begins."""

_DATA = Path(__file__).parent.parent / "standin"
_TOOLS = ("mmdebstrap", "dpkg-deb", "rpmbuild", "createrepo_c")
_ELFDEPS = "/usr/lib/rpm/elfdeps"
_NO_SPACE = "No space left on device"
_PART = ".part-"
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class _Making:
    """What every part of one making needs. `debian` is where its Debian packages are kept."""

    target: Target
    mapping: StandinMapping
    debian: Path
    runner: Runner
    tell: Progress


def build_standin(target: Target, work: Path, runner: Runner = run, progress: Progress | None = None) -> Path:
    """Return a folder in `work` with the stand-in's RPMs and their repodata, made now if it is not there.

    The folder's name is the digest of everything in elpack that can change it; the Debian packages that it was
    made from are listed in its ``debs.json``. A finished folder is used without root, tools or network.

    Raises `StandinError`, `PrivilegeError`, `ToolMissingError` or `DiskFullError`; nothing half-made stays.
    """
    mapping = parse_mapping((_DATA / "packages.toml").read_text())
    final = standin_folder(target, work)
    if _is_done(final):
        return final
    if os.geteuid() != 0:
        raise PrivilegeError(Problem("making the stand-in EL9 needs root", fix="run the same command with sudo, once"))
    _need_tools(runner)
    making = _Making(target, mapping, work / _debian_name(target, mapping), runner, progress or (lambda _: None))
    with _failures(), _alone(work):
        if _is_done(final):
            return final  # another process made it while this one waited
        fetched = _fetched(making)
        with _part(work) as part:
            repository = _repack(making, fetched, part)
            shutil.copy(making.debian / DEBS, repository / DEBS)
            remove_tree(final)
            repository.rename(final)
    return final


def _is_done(folder: Path) -> bool:
    return (folder / "repodata" / "repomd.xml").exists()


def standin_folder(target: Target, work: Path) -> Path:
    """Return where a target's stand-in is, or would be once made: older recipes' stay beside it."""
    return work / f"{target.name}-{target.arch}-{_recipe(target)}"


def _recipe(target: Target) -> str:
    """Digest elpack's own half of the recipe: data files, this code, and the target's facts."""
    digest = hashlib.sha256(repr((target.arch, target.dist_tag, target.el, target.glibc, target.python)).encode())
    code = sorted(Path(__file__).parent.glob("standin*.py"))
    for path in [*code, *sorted(path for path in _DATA.rglob("*") if path.is_file() and path.suffix != ".pyc")]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _debian_name(target: Target, mapping: StandinMapping) -> str:
    asked = hashlib.sha256(" ".join((mapping.suite, *mapping.include)).encode())
    asked.update((_DATA / "dpkg.py").read_bytes())
    return f"debian-{mapping.suite}-{target.arch}-{asked.hexdigest()[:16]}"


def _fetched(making: _Making) -> Fetched:
    """Return Debian's packages. They stay, so that a change of macros needs no mirror; `elpack clean` drops them."""
    if not (making.debian / DEBS).exists():
        making.tell(f"fetching Debian {making.mapping.suite} packages")
        with _part(making.debian.parent) as part:
            fetch_debian(part, making.target, making.mapping, making.runner)
            part.rename(making.debian)
    return load_fetched(making.debian)


def _repack(making: _Making, fetched: Fetched, part: Path) -> Path:
    """Return the finished repository, still inside `part`."""
    making.tell("laying out EL9's tree")
    target, mapping = making.target, making.mapping
    stage, lists, repository = part / "stage", part / "lists", part / "repository"
    ours = stage_tree(fetched.tree, stage, target, mapping, making.runner)
    rpms = partition(fetched.debs, mapping, walk(stage, mapping), ours, target.dist_tag)
    rpms = tuple(_with_found(making, rpm, stage) for rpm in rpms)
    lists.mkdir()
    for rpm in rpms:
        (lists / f"{rpm.name}.list").write_text(render_list(rpm.nodes))
    spec = part / "elpack-standin.spec"
    spec.write_text(render_spec(rpms, lists, target.dist_tag))
    set_times(stage, fetched.epoch)
    making.tell(f"packing {len(rpms)} RPMs")
    _rpmbuild(making, spec, stage, repository, fetched.epoch)
    making.tell("writing repository metadata")
    _createrepo(making, repository, fetched.epoch)
    return repository


def _with_found(making: _Making, rpm: StandinRpm, stage: Path) -> StandinRpm:
    """Add the sonames and pkg-config modules that the RPM's files offer."""
    paths = [stage / node.path[1:] for node in rpm.nodes if node.kind is Kind.FILE]
    modules = [path for path in paths if path.suffix == ".pc"]
    found = [pkgconfig_provide(path.stem, path.read_text(errors="replace")) for path in modules]
    libraries = [str(path) for path in paths if _is_library(path)]
    if libraries:
        # rpm's own reader of ELF files; it takes the names on stdin
        command = Command((_ELFDEPS, "--provides"), input="\n".join(libraries) + "\n")
        found += making.runner(command).check().stdout.splitlines()
    return replace(rpm, provides=within_glibc([*rpm.provides, *found], making.target.glibc))


def _is_library(path: Path) -> bool:
    """Tell a shared library from a linker script of the same name."""
    if ".so" not in path.name or not path.name.startswith(("lib", "ld-")):
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _rpmbuild(making: _Making, spec: Path, stage: Path, out: Path, epoch: int) -> None:
    defines = {
        "_topdir": str(spec.parent / "rpmbuild"),
        "_rpmdir": str(out),
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_dbpath": str(spec.parent / "rpmdb"),
    }
    options = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    how = ("--noprep", "--noclean", "--target", making.target.arch, "--buildroot", str(stage))
    environment = dict(CLEAN_ENV) | {"SOURCE_DATE_EPOCH": str(epoch), "HOME": str(spec.parent)}
    log = spec.parent / "rpmbuild.log"
    making.runner(Command(("rpmbuild", "-bb", *how, *options, str(spec)), env=environment, log=log)).check()


def _createrepo(making: _Making, repository: Path, epoch: int) -> None:
    """Index the RPMs; their times go into the metadata, so they are set first."""
    for path in repository.iterdir():
        os.utime(path, (epoch, epoch))
    options = ("--quiet", "--no-database", "--simple-md-filenames", "--set-timestamp-to-revision")
    command = Command(("createrepo_c", *options, "--revision", str(epoch), str(repository)))
    making.runner(command).check()


def _need_tools(runner: Runner) -> None:
    for tool in _TOOLS:
        try:
            runner(Command((tool, "--version")))
        except ToolMissingError as error:
            raise ToolMissingError(
                Problem(
                    f"{tool} is not installed, and the stand-in EL9 cannot be made without it",
                    why="the stand-in is repacked from Debian's packages; Fedora and EL hosts rarely need it",
                    fix="install mmdebstrap, dpkg, rpm and createrepo-c (Debian, Fedora, EPEL), "
                    "or use the target el9 with real EL9 repositories",
                )
            ) from error


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Raise what goes wrong inside as one of elpack's own errors."""
    try:
        yield
    except CommandError as error:
        kind = DiskFullError if _NO_SPACE in str(error) else StandinError
        raise kind(*error.problems) from error
    except OSError as error:
        full = error.errno == errno.ENOSPC
        problem = Problem(str(error), fix="free some space (about 2 GB) and run the command again" if full else "")
        raise (DiskFullError if full else StandinError)(problem) from error


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Let one process at a time work here, and clear away what a killed one left."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in work.glob(f"{_PART}*"):
            remove_tree(path)
        yield


@contextlib.contextmanager
def _part(work: Path) -> Iterator[Path]:
    """Give a folder beside the final ones, which is gone afterwards unless it was renamed."""
    path = Path(tempfile.mkdtemp(prefix=_PART, dir=work))
    path.chmod(0o755)
    try:
        yield path
    finally:
        remove_tree(path)

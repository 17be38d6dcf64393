"""Wheels of what no wheel is locked for: remade from the RPM that was built in a clean root, or built by the backend.

Nothing is compiled a second time. An RPM's payload holds what its wheel would, stripped and checked; only bytecode and
what installers write is left out.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import zipfile
from dataclasses import dataclass, replace
from email.parser import BytesParser
from importlib import resources
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from elpack.archives import extract_sdist, read_wheel
from elpack.archives.cpio import read_payload
from elpack.archives.members import Refusals
from elpack.archives.metadata import parse_entry_points
from elpack.builders.emulation import is_emulated
from elpack.errors import BuildError, ImageError, Problem
from elpack.images import uv
from elpack.images.pypy import programs_of
from elpack.images.root import seconds
from elpack.intact import is_intact, remember
from elpack.model import Policy, Sha256
from elpack.plan.model import Role
from elpack.plan.paths import wheel_path
from elpack.steps.images.pypy_root import build_root
from elpack.steps.images.pypy_rust import ENVIRONMENT as CARGO
from elpack.steps.images.pypy_rust import rust, rust_of, rust_parts
from elpack.tools.rpm import write_payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.archives.cpio import PayloadFile
    from elpack.model import Target
    from elpack.plan.model import Package
    from elpack.plan.policy import Choice
    from elpack.run import Runner
    from elpack.session import Session
    from elpack.steps.images.home import Home
    from elpack.steps.images.pypy_root import DebianRoot
    from elpack.steps.images.uv_sandbox import UvSandbox

_FORMAT = "1"
"""Raise it when wheels are made in another way than before."""
_BUILDER = "elpack_buildroot.py"
_TIME = (1980, 1, 1, 0, 0, 0)
_INSTALLERS = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"})


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a wheel: content and executable bit by path."""

    files: Mapping[str, tuple[bytes, bool]]

    def info(self) -> str:
        """Return the name of the dist-info folder. Raises `ValueError` when there is not exactly one."""
        (found,) = {top for path in self.files if (top := path.partition("/")[0]).endswith(".dist-info")}
        return found


def wheel_from_rpms(package: Package, rpms: Iterable[Path], python: str, into: Path, runner: Runner) -> Path:
    """Write the wheel of a package into a folder, from what its RPMs hold below the prefix; return its path.

    Raises `ImageError` when that is no installed dist.
    """
    payload: list[PayloadFile] = []
    for number, rpm in enumerate(rpms):
        cpio = into / f"{number}.cpio"
        write_payload(rpm, cpio, runner)
        payload += read_payload(cpio)
        cpio.unlink()
    where = package.nvr
    try:
        content = _content(package, payload, python)
        return write_wheel(content, into, package)
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        what = "its RPM holds no dist that a wheel could be made of"
        raise ImageError(Problem(what, where, why=str(error))) from error


def _content(package: Package, payload: Iterable[PayloadFile], python: str) -> Content:
    site = f"{package.prefix}/lib/python{python}/site-packages/"
    found: dict[str, tuple[bytes, bool]] = {}
    rest: dict[str, tuple[bytes, bool]] = {}
    for file in payload:
        if file.is_link or not file.path.startswith(f"{package.prefix}/") or _is_made(file.path):
            continue
        value = (file.content, bool(file.mode & 0o111))
        if file.path.startswith(site):
            found[file.path.removeprefix(site)] = value
        else:
            rest[file.path.removeprefix(f"{package.prefix}/")] = value
    info = Content(found).info()
    points, commands = _entry_points(found.get(f"{info}/entry_points.txt"), package)
    if points is not None:
        found[f"{info}/entry_points.txt"] = (points, False)
    data = f"{info.removesuffix('.dist-info')}.data"
    for path, value in rest.items():
        folder, _, name = path.partition("/")
        if folder == "bin" and "/" not in name:
            # uv makes those of entry points itself
            if name not in commands:
                found[f"{data}/scripts/{name}"] = value
        else:
            found[f"{data}/data/{path}"] = value
    return Content(found)


def _is_made(path: str) -> bool:
    """Tell what an installer makes."""
    folder, _, name = path.rpartition("/")
    return folder.endswith("/__pycache__") or (folder.endswith(".dist-info") and name in _INSTALLERS)


def _entry_points(file: tuple[bytes, bool] | None, package: Package) -> tuple[bytes | None, frozenset[str]]:
    """Return entry_points.txt without the commands that an override drops, and the commands that it declares."""
    if file is None:
        return None, frozenset()
    dropped = {path.removeprefix("bin/") for path in package.drop if path.startswith("bin/")}
    text, section, lines = file[0].decode(), "", []
    for line in text.splitlines(keepends=True):
        section = line.strip() if line.lstrip().startswith("[") else section
        name = line.partition("=")[0].strip()
        if section in {"[console_scripts]", "[gui_scripts]"} and name in dropped:
            continue
        lines.append(line)
    points = "".join(lines)
    refusals = Refusals(package.nvr)
    declared = parse_entry_points(points, "entry_points.txt", refusals)
    refusals.check()
    return points.encode(), frozenset(
        one.name for group in ("console_scripts", "gui_scripts") for one in declared.get(group, ())
    )


def write_wheel(content: Content, into: Path, package: Package) -> Path:
    """Write a wheel with the same bytes for the same content. Raises `ValueError` for what is no dist."""
    info = content.info()
    name, _, version = info.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != package.dist:
        raise ValueError(f"it holds {info}")
    fields = BytesParser().parsebytes(content.files[f"{info}/WHEEL"][0])
    tags = [str(tag).strip().split("-") for tag in fields.get_all("Tag", [])]
    if not tags or any(len(tag) != len(("python", "abi", "platform")) for tag in tags):
        raise ValueError("its WHEEL names no tag")
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    path = into / f"{canonicalize_name(name).replace('-', '_')}-{version}-{tag}.whl"
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for inside in sorted(content.files):
            data, executable = content.files[inside]
            archive.writestr(_member(inside, executable=executable), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow((inside, f"sha256={digest}", len(data)))
        rows.writerow((f"{info}/RECORD", "", ""))
        archive.writestr(_member(f"{info}/RECORD", executable=False), record.getvalue())
    return path


def _member(path: str, *, executable: bool) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, _TIME)
    member.create_system = 3  # Unix, so that the mode counts
    member.external_attr = (0o100755 if executable else 0o100644) << 16
    return member


def is_direct(package: Package, session: Session) -> bool:
    """Tell whether a wheel is built by its backend rather than remade from the RPM: in a second, not in fifteen.

    That is for first-party dists without machine code of which nothing is dropped, and whose build requirements all
    have wheels that this machine runs: then the RPM holds the same. For PyPy there are no RPMs.
    """
    if session.target.pypy:
        return True
    if package.role not in {Role.FIRST_PARTY, Role.APPLICATION} or package.native or package.drop or not package.noarch:
        return False
    files = [one.file if one.policy is Policy.WHEEL else None for one in _requirements(package, session).values()]
    at_home = not is_emulated(session.target.arch)
    return all(file and (at_home or file.filename.endswith("-any.whl")) for file in files)


def wheel_key(package: Package, session: Session, home: Home) -> str:
    """Return the digest of all that a wheel made here depends on."""
    parts = [_FORMAT, package.nvr, *package.drop]
    if is_direct(package, session):
        parts += [home.base.digest, str(package.date), (resources.files("elpack.assets") / _BUILDER).read_text()]
        parts += [source.sha256 for source in package.sources[:1]]
        parts += sorted(choice.file.sha256 for choice in _requirements(package, session).values() if choice.file)
        parts += sorted(f"{key}={value}" for key, value in _variables(package, session).items())
        if root := _own_root(package, session):
            dist = rust_of(session, package.dist)
            parts += rust_parts(dist, root.digest) if dist else [root.digest]
    else:
        parts += session.results[package.node].digests()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def wheels_of(  # noqa: PLR0917 - what all layers share
    packages: Iterable[Package],
    session: Session,
    home: Home,
    sandbox: UvSandbox,
    work: Path,
    say: Callable[[str], None],
) -> dict[NormalizedName, Path]:
    """Return the wheels of packages, making those that no earlier run made. Raises `ImageError`, `BuildError`."""
    found = {}
    for package in packages:
        # a dist may be in the tree and a build requirement as well
        name = package.rpm if package.role is Role.BUILDROOT else package.dist
        folder = work / str(name) / wheel_key(package, session, home)
        if not folder.exists() or not is_intact(folder):
            direct = is_direct(package, session)
            built = _built_first(package, session) if direct else ()
            ready = wheels_of(built, session, home, sandbox, work, say) if built else {}
            say(f"wheel of {package.dist}")
            # those of before are of no use any more
            shutil.rmtree(folder.parent, ignore_errors=True)
            partial = folder.with_suffix(".partial")
            partial.mkdir(parents=True)
            if direct:
                _build(package, session, sandbox, partial, ready)
            else:
                rpms = session.results[package.node].rpms
                wheel_from_rpms(package, rpms, session.target.python, partial, session.runner)
            remember(partial, folder)
            partial.rename(folder)
        (found[package.dist],) = folder.glob("*.whl")
    return found


def _built_first(package: Package, session: Session) -> tuple[Package, ...]:
    """Return the build requirements of a package that there is no wheel of."""
    wanted = {name for name, one in _requirements(package, session).items() if one.policy is Policy.SDIST}
    return tuple(one for one in session.plan.packages if one.role is Role.BUILDROOT and one.dist in wanted)


def _variables(package: Package, session: Session) -> Mapping[str, str]:
    """Return the environment that a package is built in beside uv's own."""
    if not session.target.pypy:
        return {}
    images = session.project.release.images
    own = dict(entry.split("=", 1) for entry in package.build_env)
    own |= CARGO if rust_of(session, package.dist) else {}
    return own | (images.pypy.environment(package.dist) if images else {})


def _own_root(package: Package, session: Session) -> DebianRoot | None:
    """Return the root that a package is built in for PyPy, where the one of all others lacks a program."""
    if not session.target.pypy:
        return None
    also = programs_of(package, rust=rust_of(session, package.dist) is not None)
    return build_root(session.target, session.workspace, session.runner, also=also) if also else None


def _requirements(package: Package, session: Session) -> Mapping[NormalizedName, Choice]:
    """Return what the build root of a package holds for its backend, from the build lock."""
    nodes = session.plan.by_node()
    queue = list(package.waits_for)
    inside: dict[NormalizedName, Choice] = {}
    while queue:
        one = nodes[queue.pop()]
        if one.role is Role.BUILDROOT and one.dist not in inside:
            inside[one.dist] = session.gathered.inputs.chosen_build[one.dist]
            queue += one.needs
    return inside


def _build(
    package: Package, session: Session, sandbox: UvSandbox, into: Path, ready: Mapping[NormalizedName, Path]
) -> None:
    """Let the backend build a wheel, as %pyproject_wheel does, where it sees its source and its requirements.

    ready: the wheels of those requirements that no index has one of.
    """
    choices, paths = _requirements(package, session), session.gathered.paths
    files = {name: paths[choice.file.sha256] for name, choice in choices.items() if choice.file}
    requirements = [*{**files, **ready}.values()]
    log = session.output / "logs" / "images" / f"wheel-{package.dist}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    dist = rust_of(session, package.dist)
    compiled = rust(dist, session) if dist else None
    root = _own_root(package, session)
    with (replace(sandbox, root=root.folder) if root else sandbox).task() as task:
        (task.home / "unpacked").mkdir()
        source = extract_sdist(paths[package.sources[0].sha256], task.home / "unpacked")
        (task.home / "requirements").mkdir()
        inside = [f"{uv.HOME}/requirements/{path.name}" for path in requirements]
        shown = tuple(
            word for path, name in zip(requirements, inside, strict=True) for word in ("--ro-bind", str(path), name)
        )
        if compiled:
            shown += compiled.prepare(task, source)
        (task.home / _BUILDER).write_text((resources.files("elpack.assets") / _BUILDER).read_text())
        python = f"{uv.HOME}/env/bin/python"
        commands: list[tuple[tuple[str, ...], str]] = [
            (uv.venv(session.target.interpreter, f"{uv.HOME}/env"), "/"),
            *([(uv.install(python, inside), "/")] if inside else []),
            ((python, f"{uv.HOME}/{_BUILDER}", "build", f"{uv.HOME}/built"), f"{uv.HOME}/unpacked/{source.name}"),
        ]
        environment = {"SOURCE_DATE_EPOCH": str(seconds(package.date)), **_variables(package, session)}
        limits = session.project.release.builds.of(package.dist)
        done = task.run(commands, log=log, binds=shown, environment=environment, limits=limits)
        built = sorted((task.home / "built").glob("*.whl"))
        if done.returncode != 0 or len(built) != 1 or built[0].is_symlink():
            what = f"its backend built no wheel\n{done.tail()}"
            raise BuildError(Problem(what, package.nvr, fix=f"the whole log: {log}"))
        digest = Sha256(hashlib.sha256(built[0].read_bytes()).hexdigest())
        read_wheel(built[0], digest)
        try:
            write_wheel(_kept(_read(built[0]), package, session.target), into, package)
        except (ValueError, KeyError) as error:
            raise BuildError(Problem("its backend built no wheel of it", package.nvr, why=str(error))) from error


def _read(wheel: Path) -> Content:
    with zipfile.ZipFile(wheel) as archive:
        files = [member for member in archive.infolist() if not member.is_dir()]
        return Content(
            {
                member.filename: (archive.read(member), bool(member.external_attr >> 16 & 0o111))
                for member in files
                if not _is_made(member.filename)
            }
        )


def _kept(content: Content, package: Package, target: Target) -> Content:
    """Return what a wheel holds but for what an override drops from the tree."""
    if not package.drop:
        return content
    info = content.info()
    files = {path: file for path, file in content.files.items() if wheel_path(path, target.python) not in package.drop}
    points, _ = _entry_points(files.get(f"{info}/entry_points.txt"), package)
    if points is not None:
        files[f"{info}/entry_points.txt"] = (points, False)
    return Content(files)

"""Flavour `rpm`: a root that dnf fills from the signed repository, split into layers by who made the packages.

dnf runs twice. The first run installs what is not the application's own: that root, and the tars of its two layers, are
kept by key. The second adds the application's packages to a copy; what differs then is the last layer.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.builders.roots import live_copy
from elpack.errors import ImageError, InstallError, Problem
from elpack.images.model import Images, Layer
from elpack.images.root import (
    FIRST_PARTY,
    LAYERS,
    OS,
    THIRD_PARTY,
    accounts,
    layer_of,
    left_out,
    seconds,
)
from elpack.manifest import digest_of
from elpack.steps.alone import remove
from elpack.steps.images.database import export_database
from elpack.steps.images.members import database, members, owned_paths, walk, with_parents
from elpack.steps.images.tars import Member, placed, write_layer
from elpack.steps.install import must_be_ours
from elpack.store.lock import locked
from elpack.tools.dnf import Dnf, folder
from elpack.tools.rpm import identities, read_headers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from elpack.builders import Repository
    from elpack.config import Release
    from elpack.images.rpmdb import InstalledPackage
    from elpack.plan.model import Package, Plan
    from elpack.run import Runner
    from elpack.tools.rpm import RpmHeader
    from elpack.workspace import Workspace

_FORMAT = "1"
"""Raise it when a kept root, or a layer made of one, would be another than before."""

_KEPT = "layers.json"


@dataclass(frozen=True, slots=True)
class _Making:
    """What all parts of this work ask for. when: the release's date; names: the layer of our packages by name."""

    release: Release
    plan: Plan
    base: tuple[Repository, ...]
    repository: Repository
    work: Path
    logs: Path
    runner: Runner
    progress: Callable[[str], None]

    @property
    def when(self) -> int:
        return seconds(self.release.date)

    @property
    def images(self) -> Images:
        return self.release.images or Images()

    def dnf(self) -> Dnf:
        target = self.plan.target
        repositories = (*self.base, self.repository)
        return Dnf(
            repositories, target.arch, str(target.el), self.work / "dnf", InstallError, self.runner, epoch=self.when
        )


def rpm_layers(
    release: Release,
    plan: Plan,
    base: Iterable[Repository],
    repository: Repository,
    into: Path,
    *,
    workspace: Workspace,
    logs: Path,
    runner: Runner,
    progress: Callable[[str], None],
) -> tuple[Layer, ...]:
    """Return the layers ``os``, ``third-party`` and ``first-party`` of an image `FROM scratch`, as tars in `into`.

    base: the target's own repositories; repository: ours, signed, as `Handover.repository` gives it. The last layer
    holds the rpm database, the user of number `images.user`, and the folder for data, which belongs to it. The tars
    are to become layers as they are: with other times than theirs all bytecode would be stale.

    Raises `InstallError` when dnf refuses, `ImageError` for a root that no image may be made of.
    """
    into.mkdir(parents=True, exist_ok=True)
    work = workspace.work / "rpm-root"
    work.mkdir(parents=True, exist_ok=True)
    making = _Making(release, plan, tuple(base), repository, work, logs, runner, progress)
    making.dnf().forget((repository,))  # and with its metadata the keys that an earlier run trusted
    with locked(work / "rpm-root.lock"):
        below, layers = _kept(making)
        with live_copy(below, work, runner) as root:
            _add_accounts(making, root.path)
            packages = _install(making, root.path)
            last = _last_layer(making, below, root.path, packages, into)
    return (*(placed(layer, into) for layer in layers), last)


def _kept(making: _Making) -> tuple[Path, tuple[Layer, ...]]:
    """Return the root with all that is not the application's own, and its layers, making them if no earlier run did."""
    headers = _headers(making)
    wanted, files = _below(making, headers)
    arch = making.plan.target.arch
    home = making.work / f"{arch}-{_key(making, wanted, files)}"
    if (home / _KEPT).exists() and _is_intact(layers := _read_kept(home)):
        making.progress("the root of third-party packages is there")
        return home / "root", layers
    kept = making.work.glob(f"{arch}-*/{_KEPT}")
    for old in (*making.work.glob(f"{arch}-*.partial"), *(one.parent for one in kept)):
        remove(old)
    partial = home.with_suffix(".partial")
    making.progress("dnf installs what is not of the application")
    log = making.logs / "dnf-image.log"
    log.unlink(missing_ok=True)
    making.dnf().install(partial / "root", wanted, log, "the image's root")
    packages = export_database(partial / "root", partial, making.runner)
    layers = _lower_layers(making, partial / "root", packages, partial)
    write_text(partial / _KEPT, json.dumps([asdict(one) | {"tar": one.tar.name} for one in layers]))
    partial.rename(home)
    return home / "root", _read_kept(home)


def _read_kept(home: Path) -> tuple[Layer, ...]:
    told = json.loads((home / _KEPT).read_text())
    return tuple(Layer(one["name"], home / one["tar"], one["sha256"], one["size"]) for one in told)


def _is_intact(layers: Iterable[Layer]) -> bool:
    return all(layer.tar.is_file() and digest_of(layer.tar) == layer.sha256 for layer in layers)


def _headers(making: _Making) -> dict[str, tuple[Package, RpmHeader]]:
    """Return our RPMs that customers get, by RPM name."""
    where = folder(making.repository)
    found = {}
    for package in making.plan.published():
        arch = "noarch" if package.noarch else making.plan.target.arch
        found[str(package.rpm)] = (package, where / f"{package.nvr}.{arch}.rpm")
    missing = sorted(path.name for _, path in found.values() if not path.is_file())
    if missing:
        raise ImageError(
            *(Problem(f"{name} is not in the repository", str(where), fix="elpack rpm-all") for name in missing)
        )
    headers = read_headers([path for _, path in found.values()], making.runner)
    return {name: (package, header) for (name, (package, _)), header in zip(found.items(), headers, strict=True)}


def _below(making: _Making, headers: Mapping[str, tuple[Package, RpmHeader]]) -> tuple[list[str], list[Path]]:
    """Return what the first run of dnf installs, as it is told, and the files of our own that come by it."""
    layers = layer_of(making.plan)
    first = {name for name in headers if layers[name] == FIRST_PARTY}
    provided = {_capability(text) for name in first for text in headers[name][1].provides}
    third = [package.nvr for name, (package, _) in headers.items() if name not in first]
    foreign = {
        text
        for name in first
        for text in headers[name][1].requires
        if _capability(text) not in provided and _capability(text) not in headers
    }
    nodes = making.plan.by_node()
    reached: dict[str, Path] = {}
    waiting = [package for name, (package, _) in headers.items() if name not in first]
    while waiting:
        package = waiting.pop()
        if str(package.rpm) not in reached:
            reached[str(package.rpm)] = headers[str(package.rpm)][1].path
            waiting += [nodes[node] for node in package.needs if str(nodes[node].rpm) in headers]
    return sorted(third) + sorted(foreign), sorted(reached.values())


def _capability(text: str) -> str:
    return text.split(" ", 1)[0]


def _key(making: _Making, wanted: Iterable[str], files: Sequence[Path]) -> str:
    dnf = making.dnf()
    repomds = [dnf.repomd(repository) for repository in making.base]
    if any(path is None for path in repomds):
        dnf.refresh(making.work / "metadata.log")
        repomds = [dnf.repomd(repository) for repository in making.base]
    parts = [_FORMAT, dnf.arch, dnf.releasever, *wanted, *identities(files, making.runner)]
    parts += [digest_of(path) for path in repomds if path]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _add_accounts(making: _Making, root: Path) -> None:
    """Give the root the image's user before a package asks for it: packages take any number that is free."""
    service, images = making.release.service, making.images
    user = service.user if service else making.release.name
    group = service.effective_group if service else user
    etc = root / "etc"
    files = {name: _text(etc / name) for name in ("passwd", "group", "shadow", "gshadow") if (etc / name).is_file()}
    for name, text in accounts(files, user, group, images.user, images.data, making.when).items():
        with (etc / name).open("w", encoding="utf-8") as file:  # keeps the mode
            file.write(text)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _install(making: _Making, root: Path) -> tuple[InstalledPackage, ...]:
    """Add the application's packages, and nothing else, and return all that are installed now."""
    wanted = making.plan.install
    making.progress(f"dnf install {' '.join(wanted)}")
    done = making.dnf().install(root, wanted, making.logs / "dnf-image.log", "the image's root")
    must_be_ours(making.plan, done)
    return export_database(root, making.work, making.runner)


def _lower_layers(making: _Making, root: Path, packages: tuple[InstalledPackage, ...], into: Path) -> tuple[Layer, ...]:
    owned = owned_paths(root, packages, layer_of(making.plan))
    split: dict[str, dict[str, Member]] = {OS: {}, THIRD_PARTY: {}}
    for one in members(root, owned, making.when):
        if one.path in owned and (layer := LAYERS[owned[one.path].layer]) in split:
            split[layer][one.path] = one
    known: set[str] = set()
    layers = []
    for name in (OS, THIRD_PARTY):
        making.progress(f"layer {name}")
        found = with_parents(root, split[name], known)
        known |= found.keys()
        layers.append(write_layer(name, found.values(), into))
    return tuple(layers)


def _last_layer(making: _Making, below: Path, root: Path, packages: tuple[InstalledPackage, ...], into: Path) -> Layer:
    """Return the layer of what the lower ones have not, or have otherwise."""
    making.progress(f"layer {FIRST_PARTY}")
    ours = layer_of(making.plan)
    owned = owned_paths(root, packages, ours)
    last = LAYERS.index(FIRST_PARTY)
    lower = {path: info for path, info in walk(below) if path in owned and owned[path].layer < last}
    found: dict[str, Member] = {}
    for one in members(root, owned, making.when):
        before = lower.pop(one.path, None)
        if before is None or _changed(before, root / one.path):
            found[one.path] = one
    gone = sorted(path for path in lower if not left_out(path, owned=True))
    if gone:
        why = "what is in a lower layer cannot be taken away"
        what, fix = "the application's packages removed it", "let none of their scriptlets remove files of others"
        raise ImageError(*(Problem(what, f"/{path}", why, fix) for path in gone))
    signed = [one.nvra for one in packages if one.name not in ours]
    added = database(packages, making.when, signed, making.work, making.runner)
    found |= {one.path: one for one in added if one.path not in owned}
    found |= {one.path: one for one in _data(making, root)}
    return write_layer(FIRST_PARTY, found.values(), into)


def _changed(before: os.stat_result, path: Path) -> bool:
    now = path.lstat()
    if (before.st_mode, before.st_uid, before.st_gid) != (now.st_mode, now.st_uid, now.st_gid):
        return True
    return not stat.S_ISDIR(now.st_mode) and (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns)


def _data(making: _Making, root: Path) -> Iterator[Member]:
    """Yield the folder for data with its parents, as far as the root has none."""
    images, place = making.images, Path(making.images.data.lstrip("/"))
    for parent in place.parents:
        if parent != Path() and not (root / parent).exists():
            yield Member(str(parent), stat.S_IFDIR | 0o755, making.when)
    yield Member(str(place), stat.S_IFDIR | 0o750, making.when, images.user, images.user)

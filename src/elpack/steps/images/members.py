"""What a root that dnf filled holds, as members of layers."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.images.root import DATABASE, Owner, content, is_rewritten, left_out, mode_of, owners
from elpack.steps.images.database import import_database
from elpack.steps.images.tars import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from elpack.images.rpmdb import InstalledPackage
    from elpack.run import Runner


def owned_paths(root: Path, packages: Iterable[InstalledPackage], layers: Mapping[str, str]) -> dict[str, Owner]:
    """Return who owns what, by the path that it really has: packages spell some through links such as /lib64."""
    real: dict[str, str] = {}
    found: dict[str, Owner] = {}
    for spelt, one in owners(packages, layers).items():
        parent, _, name = spelt.rpartition("/")
        if parent not in real:
            place = os.path.realpath(f"{root}{parent}")
            real[parent] = os.path.relpath(place, root) if Path(place).is_relative_to(root) else parent.lstrip("/")
        path = os.path.normpath(f"{real[parent]}/{name}")
        if path not in found or one < found[path]:
            found[path] = one
    return found


def members(root: Path, owned: Mapping[str, Owner], when: int) -> Iterator[Member]:
    """Yield all of a root that goes into an image. What no package owns has the time `when`."""
    for path, info in walk(root):
        if not left_out(path, owned=path in owned):
            yield member(root, path, info, owned[path].time if path in owned else when, when)


def member(root: Path, path: str, info: os.stat_result, mtime: int, when: int) -> Member:
    """Return one path of a root as it is in an image; `when` stands for today in what it holds."""
    source, mode = root / path, info.st_mode
    if stat.S_ISLNK(mode):
        return Member(path, mode, mtime, info.st_uid, info.st_gid, link=str(source.readlink()))
    if not stat.S_ISREG(mode):
        return Member(path, mode, mtime, info.st_uid, info.st_gid)
    mode = stat.S_IFREG | mode_of(mode)
    if is_rewritten(path):
        return Member(path, mode, mtime, info.st_uid, info.st_gid, content=content(path, source.read_bytes(), when))
    same = (info.st_dev, info.st_ino) if info.st_nlink > 1 else None
    return Member(path, mode, mtime, info.st_uid, info.st_gid, source=source, same=same)


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below a root, by path relative to it."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(root / inside) as entries:
            for entry in entries:
                path = f"{inside}/{entry.name}" if inside else entry.name
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)


def with_parents(root: Path, found: Mapping[str, Member], known: set[str]) -> dict[str, Member]:
    """Return the members and the folders that they lie in, as far as no layer below has these."""
    every = dict(found)
    for path in found:
        for parent in Path(path).parents:
            if (name := str(parent)) != "." and name not in every and name not in known:
                # a layer above says what it is like; its time is not to change this one
                every[name] = member(root, name, (root / name).lstat(), 0, 0)
    return every


def database(
    packages: Iterable[InstalledPackage], when: int, signed: Iterable[str], scratch: Path, runner: Runner
) -> Iterator[Member]:
    """Yield the rpm database and its folders."""
    data = import_database(packages, when, signed, scratch, runner)
    for path in ("var", "var/lib", DATABASE):
        yield Member(path, stat.S_IFDIR | 0o755, when)
    yield Member(f"{DATABASE}/rpmdb.sqlite", stat.S_IFREG | 0o644, when, content=data)

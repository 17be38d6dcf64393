"""The manifests of finished builds: written, read, and held against what lies there."""

from __future__ import annotations

import hashlib
import json
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from elpack import __version__
from elpack.atomic import write_text
from elpack.errors import ElpackError, Problem
from elpack.listed import ALL, FORMAT, KINDS, PACKAGES, Content, Listed, Manifest, kind_of, parse_manifest
from elpack.model import Layout
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.plan.model import Plan
    from elpack.steps.results import Result

MANIFEST = "manifest.json"
_LARGEST = 64 << 20
BESIDE = frozenset({"logs", *Layout})
"""Folders beside the results that are none: logs, and other layouts' results."""


def manifest(
    plan: Plan, results: Iterable[Result], folder: Path, *, fingerprint: str = "", throwaway: bool = False
) -> Manifest:
    """Return the manifest of a finished build, whose files lie in a folder. fingerprint: of the key that signed."""
    nodes = plan.by_node()
    built = {}
    for result in results:
        package = nodes[result.node]
        dist = f"{package.dist}=={package.upstream_version}"
        for file in result.entry.files:
            built[file.path.name] = Listed("", Content(file.size, file.sha256), node=package.node, dist=dist)
    target = plan.target
    return Manifest(
        *(__version__, plan.release, plan.version, plan.layout, target.name, target.python, target.arch),
        standin=target.standin,
        files=tuple(list_files(folder, built, signed=bool(fingerprint))),
        fingerprint=fingerprint,
        throwaway=throwaway,
    )


def list_files(folder: Path, built: Mapping[str, Listed], *, signed: bool) -> Iterator[Listed]:
    """Yield what a manifest lists of a folder of results. built: what each RPM was before it was signed, by name."""
    for path, file in handed_over(folder).items():
        kind = kind_of(path)
        if kind in PACKAGES:
            yield replace(built[file.name], path=path, signed=_content_of(file) if signed else None)
        elif kind in KINDS:
            yield Listed(path, _content_of(file))


def handed_over(folder: Path) -> dict[str, Path]:
    """Return all that lies in a folder of results and is no folder, by path below it; links are not followed."""
    tops = [path for path in folder.iterdir() if path.name not in BESIDE]
    below = (path for top in tops for path in ((top,) if top.is_symlink() or not top.is_dir() else top.rglob("*")))
    found = ((str(path.relative_to(folder)), path) for path in below if path.is_symlink() or not path.is_dir())
    return dict(sorted(found))


def read_manifest(folder: Path, error: type[ElpackError]) -> Manifest:
    """Return the manifest of a folder of results. Raises `error` when it is none, or of another format."""
    path = folder / MANIFEST
    try:
        return parse_manifest(_bytes_of(path))
    except (OSError, ValueError) as cause:
        what = f"the manifest cannot be used: {cause}"
        raise error(Problem(what, str(path), fix="elpack rpm writes it anew")) from cause


def _bytes_of(path: Path) -> bytes:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        raise ValueError("it is no regular file, or too large")
    return path.read_bytes()


class Wrong(StrEnum):
    """What can be wrong with a file."""

    MISSING = "it is missing"
    MORE = "the manifest does not list it"
    NO_FILE = "it is no regular file"
    OTHER = "it is not the file that the manifest lists"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A file that is not as the manifest says, by its path below the results. detail: in what, if it is another one."""

    path: str
    wrong: Wrong
    detail: str = ""


def deviations(folder: Path, listed: Manifest, *, before_signing: bool = False) -> Iterator[Deviation]:
    """Yield all in which a folder of results is not what its manifest lists.

    before_signing: RPMs may also be as they were before they were signed. Signatures themselves are judged elsewhere.
    """
    there, files = handed_over(folder), {file.path: file for file in listed.files}
    beside = _beside(listed, there)
    for path in sorted(files.keys() | there.keys()):
        if path not in there:
            yield Deviation(path, Wrong.MISSING)
        elif not stat.S_ISREG(there[path].lstat().st_mode):
            yield Deviation(path, Wrong.NO_FILE)
        elif path in files:
            found, wanted = _content_of(there[path]), files[path].content
            if found != wanted and not (before_signing and found == files[path].built):
                told = (f"{one.size} bytes with sha256 {one.sha256}" for one in (found, wanted))
                yield Deviation(path, Wrong.OTHER, "it has {}, and the manifest says {}".format(*told))
        elif path not in beside:
            yield Deviation(path, Wrong.MORE)


def _beside(listed: Manifest, there: Collection[str]) -> set[str]:
    """Return what belongs to the results and is not listed: the list itself, what speaks of places, and signatures."""
    names = (f"{listed.release}.repo", f"{listed.release}-{listed.layout}.repo")
    found = {MANIFEST, *[name for name in names if name in there][:1]}
    if listed.fingerprint:
        found |= {f"RPM-GPG-KEY-{listed.release}", *(path for path in there if kind_of(path) == "signature")}
    return found


def misplaced(folder: Path, listed: Manifest, where: str) -> Iterator[Problem]:
    """Yield the problem of results that lie in another folder than <target>/<arch>, or a layout's inside of it."""
    names = folder.absolute().parts
    own = (listed.target, listed.arch, listed.layout) if names[-1] in set(Layout) else (listed.target, listed.arch)
    if names[-len(own) :] != own:
        what = f"its manifest is that of {listed.target} {listed.arch}, layout {listed.layout}"
        yield Problem(what, where, "it was copied to another place", "copy it to the folder of its name, or build")


def digest_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_of(path: Path) -> Content:
    return Content(path.stat().st_size, digest_of(path))


def write_json(path: Path, value: object) -> None:
    """Write a JSON file in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def finished(dist: Path) -> list[Path]:
    """Return the folders of finished results of all targets and layouts, without what is under way."""
    found = sorted((*dist.glob(f"*/*/{MANIFEST}"), *dist.glob(f"*/*/*/{MANIFEST}")))
    return [path.parent for path in found if not any(part.startswith(".") for part in path.relative_to(dist).parts)]


def named(
    dist: Path, target: str, arch: str, layout: str, error: type[ElpackError], *, packages: bool = False
) -> tuple[Path, ...]:
    """Return the folders of finished results, those of the named target, architecture and layout if any is named.

    packages: only those that have some, so not images of all architectures. Raises `error` when there is none, or when
    one of them has no manifest that can be read.
    """
    found = []
    for folder in finished(dist):
        manifest = read_manifest(folder, error)
        about = (manifest.target, manifest.arch, manifest.layout)
        if packages and manifest.arch == ALL:
            continue
        if all(wanted in {"", has} for wanted, has in zip((target, arch, layout), about, strict=True)):
            found.append(folder)
    if not found:
        raise error(Problem("nothing was handed over here", str(dist), fix="elpack rpm-all"))
    return tuple(found)


def write_index(dist: Path) -> None:
    """Write dist/manifest.json: the manifests of all targets that were built, by their folder.

    One that cannot be read is left out: whoever works on that target is told.
    """
    targets = {}
    for folder in finished(dist):
        with suppress(OSError, ValueError):
            targets[str(folder.relative_to(dist))] = json_value(_bytes_of(folder / MANIFEST))
    write_json(dist / MANIFEST, {"format": FORMAT, "targets": targets})


def drop_index(dist: Path) -> None:
    """Remove dist/manifest.json, for as long as it would not be what the targets' own manifests say."""
    (dist / MANIFEST).unlink(missing_ok=True)


def effective(release: Release) -> dict[str, Any]:
    """Return the release as elpack understood it, every default filled in."""
    return dict(json.loads(json.dumps(asdict(release), default=_plain)))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)

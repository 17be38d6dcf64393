"""The lock of build requirements (pylock.build.toml, PEP 751): read for a target, and told when it is stale.

The file is what uv exported, with one table of elpack's own: the inputs that it was made from, the requirements of
each sdist with those its backend asked for, and the edges between the locked dists, which PEP 751 leaves out here.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockValidationError

from elpack import strict
from elpack.errors import BuildLockError, Problem
from elpack.lockfile import filename_refused, uploaded_at, url_refused
from elpack.model import RemoteFile, SelectedDist, Sha256
from elpack.tables import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from elpack.model import SdistFacts, Selection, Target

OWN_REQUIRES = ("installer", "packaging", "pip", "setuptools", "wheel")
"""What elpack's own macros need in a build root, whatever is built there."""

FORMAT = 1
RENEW = "elpack lock"

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """All that a build lock depends on but the index. Equal inputs have equal digests.

    sdists: file name to sha256 and requirements. own: elpack's requirements. overrides: requirements that replace
    any other of that name. environments: what the targets amount to, such as ``3.12 x86_64`` or ``pypy3.11 x86_64``.
    """

    sdists: Mapping[str, tuple[str, tuple[str, ...]]]
    own: tuple[str, ...]
    overrides: tuple[str, ...]
    environments: tuple[str, ...]

    def digest(self) -> str:
        """Return the sha256 of the inputs in one canonical form."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def build_inputs(
    sdists: Collection[SdistFacts],
    closures: Sequence[tuple[Target, Selection]],
    own: Sequence[str] = OWN_REQUIRES,
    overrides: Collection[NormalizedName] = (),
) -> BuildInputs:
    """Return the inputs of a build lock for sdists that are built on each target beside that target's closure.

    overrides are the names that must be built with in the closure's version, because what is compiled against them
    only runs with them (numpy). Raises `BuildLockError` when a closure does not hold such a name.
    """
    facts = {sdist.filename: (str(sdist.sha256), _canonical(sdist.build_requires)) for sdist in sdists}
    pins = tuple(pin for name in sorted(overrides) for pin in _pins(name, closures))
    environments = {_environment(target) for target, _ in closures}
    return BuildInputs(dict(sorted(facts.items())), _canonical(own), pins, tuple(sorted(environments)))


def _pins(name: NormalizedName, closures: Sequence[tuple[Target, Selection]]) -> Iterator[str]:
    versions: dict[str, str] = {}
    for target, selection in closures:
        dist = selection.by_name().get(name)
        if dist is None:
            what = f"{name} is to be built with in the closure's version, but the closure for {target} has none"
            raise BuildLockError(Problem(what, fix="take it out of build-with, or add it to the application"))
        versions[f"python_version == '{target.python}' and platform_machine == '{target.arch}'"] = str(dist.version)
    if len(set(versions.values())) == 1:
        yield f"{name}=={next(iter(versions.values()))}"
        return
    for marker, version in sorted(versions.items()):
        yield f"{name}=={version} ; {marker}"


def _canonical(requirements: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted({str(strict.requirement(text)) for text in requirements}))


def _environment(target: Target) -> str:
    return f"{'pypy' if target.pypy else ''}{target.python} {target.arch}"


def build_lock_stale(text: str, inputs: BuildInputs, path: str = "pylock.build.toml") -> tuple[Problem, ...]:
    """Return why the lock does not belong to the inputs; empty when it does. Needs no network."""
    table = _own_table(_load(text, path), path)
    if table.get("digest") == inputs.digest():
        return ()
    problems = list(_stale_sdists(table, inputs, path))
    for key, wanted in (("own", inputs.own), ("overrides", inputs.overrides), ("environments", inputs.environments)):
        locked = tuple(table.get(key, ()))
        if locked != wanted:
            what = f"made for {key} {_listed(locked)}, now they are {_listed(wanted)}"
            problems.append(Problem(what, path, fix=RENEW))
    return tuple(problems or [Problem("its digest is not that of its inputs", path, "edited by hand", RENEW)])


def _stale_sdists(table: Mapping[str, Any], inputs: BuildInputs, path: str) -> Iterator[Problem]:
    locked = {name: entry for name, entry in table.get("sdists", {}).items() if not entry.get("build-only")}
    for name in sorted(inputs.sdists.keys() - locked.keys()):
        yield Problem(f"{name} is built from source, the lock was made without it", path, fix=RENEW)
    for name in sorted(locked.keys() - inputs.sdists.keys()):
        yield Problem(f"the lock was made for {name}, which is not built from source any more", path, fix=RENEW)
    for name in sorted(inputs.sdists.keys() & locked.keys()):
        sha256, requires = inputs.sdists[name]
        if locked[name].get("sha256") != sha256:
            yield Problem(f"{name} is not the file that the lock was made for (sha256 {sha256})", path, fix=RENEW)
        elif tuple(locked[name].get("requires", ())) != requires:
            yield Problem(f"{name} requires {_listed(requires)} to be built, the lock knows otherwise", path, fix=RENEW)


def _listed(texts: Collection[str]) -> str:
    return ", ".join(texts) or "none"


def build_requirements(text: str, path: str) -> dict[str, tuple[str, ...]]:
    """Return all that each sdist needs to be built, as PEP 508, with what only its backend could tell."""
    sdists = _own_table(_load(text, path), path).get("sdists", {})
    return {name: (*entry.get("requires", ()), *entry.get("dynamic", ())) for name, entry in sdists.items()}


def read_build_lock(text: str, path: str, target: Target) -> tuple[SelectedDist, ...]:
    """Return the build requirements that hold on the target, by name, each with its edges.

    Raises `BuildLockError` when the file is malformed, or was not made for the target.
    """
    document = _load(text, path)
    try:
        lock = Pylock.from_dict(document)
    except (PylockValidationError, RecursionError) as error:
        raise BuildLockError(Problem(str(error), path, fix=RENEW)) from error
    environment: dict[str, str | frozenset[str]] = {**target.marker_environment()}
    known = _own_table(document, path).get("environments", ())
    if _environment(target) not in known:
        what = f"the lock was not made for {target}, only for {_listed(known)}"
        raise BuildLockError(Problem(what, path, fix=RENEW))
    packages = [item for item in lock.packages if _holds(item, environment)]
    lines = _lines(text)
    edges = _own_table(document, path).get("requires", {})
    names = {package.name for package in packages}
    problems: list[Problem] = []
    dists = [
        _dist(package, sorted(names.intersection(edges.get(package.name, ()))), path, lines, problems)
        for package in sorted(packages, key=lambda package: package.name)
    ]
    if len(names) != len(packages):
        twice = sorted({package.name for package in packages if [p.name for p in packages].count(package.name) > 1})
        problems.append(Problem(f"selected twice for {target}: {_listed(twice)}", path, fix=RENEW))
    if problems:
        raise BuildLockError(*problems)
    return tuple(dists)


def _dist(
    package: Package,
    requires: Sequence[NormalizedName],
    path: str,
    lines: Mapping[tuple[str, str], int],
    problems: list[Problem],
) -> SelectedDist:
    line = lines.get((package.name, str(package.version)), 1)
    where = f"{path}:{line}"
    if package.version is None or package.is_direct:
        problems.append(Problem(f"{package.name} does not come from an index", where, fix=RENEW))
        return SelectedDist(package.name, cast("Any", package.version), frozenset(), (), None, (), line)
    sdist = _file(package.sdist, where, problems) if package.sdist else None
    wheels = tuple(_file(wheel, where, problems) for wheel in package.wheels or ())
    return SelectedDist(package.name, package.version, frozenset(), tuple(requires), sdist, wheels, line)


def _file(file: PackageSdist | PackageWheel, where: str, problems: list[Problem]) -> RemoteFile:
    url, sha256 = file.url or "", file.hashes.get("sha256", "")
    if (reason := url_refused(url, loopback=False)) is not None:
        problems.append(Problem(f"{file.filename}: {reason}", where, fix=RENEW))
    if (reason := filename_refused(file.filename)) is not None:
        problems.append(Problem(reason, where, fix=RENEW))
    if not _SHA256.match(sha256):
        problems.append(Problem(f"{file.filename}: a sha256 is needed to trust this file", where, fix=RENEW))
    return RemoteFile(file.filename, url.partition("#")[0], Sha256(sha256), file.size, _uploaded(file, where, problems))


def _uploaded(file: PackageSdist | PackageWheel, where: str, problems: list[Problem]) -> int | None:
    if file.upload_time is None:
        return None
    moment = file.upload_time
    try:
        return uploaded_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError as error:
        problems.append(Problem(f"{file.filename}: {error}", where, fix=RENEW))
        return None


def _holds(package: Package, environment: Mapping[str, str | frozenset[str]]) -> bool:
    """Tell whether a package is for the target. One whose marker makes no sense is for none."""
    try:
        return package.marker is None or package.marker.evaluate(dict(environment), "lock_file")
    except (UndefinedComparison, UndefinedEnvironmentName, RecursionError):
        return False


def _lines(text: str) -> dict[tuple[str, str], int]:
    lines = text.split("\n")
    starts = [index for index, line in enumerate(lines) if line == "[[packages]]"]
    pairs = (("\n".join(lines[index + 1 : index + 3]), index + 1) for index in starts)
    found = ((re.match(r'name = "([^"]*)"\nversion = "([^"]*)"', head), line) for head, line in pairs)
    return {(match[1], match[2]): line for match, line in found if match}


def _load(text: str, path: str) -> dict[str, Any]:
    try:
        return strict.toml(text)
    except ValueError as error:
        raise BuildLockError(Problem(str(error), path, fix=RENEW)) from error


def _own_table(document: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    tool = document.get("tool", {})
    table = tool.get("elpack") if isinstance(tool, dict) else None
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        what = f"there is no [tool.elpack] table of format {FORMAT}; this is not a lock that elpack made"
        raise BuildLockError(Problem(what, path, fix=RENEW))
    root = Table(path, table, "tool.elpack")
    _ = root.get("digest", str, ""), *map(root.strings, ("own", "overrides", "environments"))
    for _, sdist in root.table("sdists").named_tables():
        _ = sdist.get("sha256", str, ""), sdist.strings("requires"), sdist.strings("dynamic")
    edges = root.table("requires")
    for name in edges.values:
        edges.strings(name)
    if root.problems:
        raise BuildLockError(*root.problems)
    return table

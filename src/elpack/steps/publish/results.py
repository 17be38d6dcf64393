"""What lies in dist/ and may be published, and every reason why it may not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem, PublishError
from elpack.publication import File
from elpack.steps.consumer import digest_of
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.model import Target

_BACK = "elpack rpm-all makes it anew"
_LEFT_OUT = re.compile(r"(?:logs/|(?:stack|bundle|system)/|[^/]+\.repo\Z)")
"""logs, other layouts, which are published on their own, and the .repo file, which is written for its new place."""
_KNOWN = re.compile(
    r"(?:repo|debug|buildroot)/(?:[^/]+\.rpm|repodata/[^/]+)\Z|srpms/[^/]+\.rpm\Z|specs/[^/]+\.spec\Z"
    r"|(?:manifest|release)\.json(?:\.asc)?\Z|RPM-GPG-KEY-[^/]+\Z|(?:sbom|provenance)/[^/]+\Z|[^/]+\.(?:cdx|intoto)\.jsonl?\Z"
)


@dataclass(frozen=True, slots=True)
class Result:
    """One target's results in one layout.

    place: its folder below dist/, such as el9/x86_64 or el9/x86_64/bundle. id: what dnf calls its repository.
    """

    folder: Path
    place: str
    manifest: Mapping[str, Any]
    target: Target
    id: str

    @property
    def fingerprint(self) -> str:
        """The key that signed it, as its manifest says; empty if nobody did."""
        return str(self.manifest.get("signing", {}).get("fingerprint", ""))

    @property
    def throwaway(self) -> bool:
        """Tell whether a throwaway key signed it."""
        return bool(self.manifest.get("signing", {}).get("throwaway"))

    def paths(self) -> Iterator[str]:
        """Yield the files that are published, as paths below the folder."""
        for path in sorted(self.folder.rglob("*")):
            inside = str(path.relative_to(self.folder))
            if (path.is_file() or path.is_symlink()) and not _LEFT_OUT.match(inside):
                yield inside

    def files(self) -> dict[str, File]:
        """Return all that is published of it, by path below the folder that is published."""
        unsigned = {
            artefact["name"]: artefact["sha256"] for artefact in self.manifest["artefacts"] if "signed" in artefact
        }
        found = {}
        for path in self.paths():
            file = self.folder / path
            name = file.name if path.endswith(".rpm") else ""
            found[f"{self.place}/{path}"] = File(file.stat().st_size, digest_of(file), unsigned.get(name, ""))
        return found


def read_results(dist: Path, release: Release, target: str = "", *, snapshot: bool = False) -> tuple[Result, ...]:
    """Return what was built: of all targets, architectures and layouts, or of one target.

    Raises `PublishError` with every reason why it is not to be published: nothing there, unsigned, signed by another
    key than the release file's, a stand-in's or a throwaway key's without `snapshot`, of several versions or foreign.
    """
    found = sorted((*dist.glob("*/*/manifest.json"), *dist.glob("*/*/*/manifest.json")))
    own = [path for path in found if not any(part.startswith(".") for part in path.relative_to(dist).parts)]
    folders = [path.parent for path in own if not target or path.relative_to(dist).parts[0] == target]
    if not folders:
        what = f"there are no results{f' for {target}' if target else ''}"
        raise PublishError(Problem(what, where=str(dist), fix="elpack rpm-all makes them"))
    choices = {choice.name: choice for choice in release.targets}
    problems: list[Problem] = []
    results: list[Result] = []
    for folder in folders:
        place = str(folder.relative_to(dist))
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            choice = choices[manifest["target"]["name"]]
            (repo,) = folder.glob("*.repo")
            result = Result(folder, place, manifest, resolve_target(choice, manifest["target"]["arch"]), repo.stem)
            problems += _problems(result, release, snapshot=snapshot)
            results.append(result)
        except (KeyError, TypeError, ValueError) as error:
            problems.append(Problem(f"they are not results of this release: {error!r}", where=place, fix=_BACK))
    problems += _different(results)
    if problems:
        raise PublishError(*problems)
    return tuple(results)


def _problems(result: Result, release: Release, *, snapshot: bool) -> Iterator[Problem]:
    manifest, where = result.manifest, result.place
    if manifest["release"] != release.name:
        yield Problem(f"it is of the release {manifest['release']}, not of {release.name}", where)
    key = release.signing.key
    if not result.fingerprint:
        yield Problem("it is not signed", where, fix="elpack sign, or elpack rpm-all without --unsigned")
    elif result.throwaway:
        if not snapshot:
            yield Problem("a throwaway key signed it", where, fix="set [signing] key, or publish it with --snapshot")
    elif result.fingerprint != key:
        yield Problem(f"{result.fingerprint} signed it, not [signing] key = {key}", where, fix="elpack sign")
    if manifest["standin"] and not snapshot:
        why = "it was built on Debian's packages under EL9's names, and runs on no EL9"
        yield Problem("it is the stand-in's", where, why, fix="publish it with --snapshot, for trying it out only")
    yield from _foreign(result)


def _foreign(result: Result) -> Iterator[Problem]:
    for path in result.paths():
        where = f"{result.place}/{path}"
        if (result.folder / path).is_symlink():
            yield Problem("it is a symbolic link", where, fix=_BACK)
        elif not _KNOWN.match(path):
            yield Problem("it is no result of elpack's", where, fix="move it elsewhere")


def _different(results: Iterable[Result]) -> Iterator[Problem]:
    said = {result.place: (result.manifest["version"], result.fingerprint) for result in results}
    if len(set(said.values())) > 1:
        lines = "\n".join(f"{place}: {version} by {key or 'nobody'}" for place, (version, key) in said.items())
        why = "one publication has one version and one key"
        yield Problem(f"the results do not belong together\n{lines}", "dist", why, fix=f"{_BACK}; --target picks one")

"""What lies in dist/ and may be published, and every reason why it may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import Problem, PublishError
from elpack.listed import ALL, kind_of, of_images
from elpack.manifest import Wrong, deviations, digest_of, finished, handed_over, misplaced, read_manifest
from elpack.publication import File
from elpack.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from elpack.config import Release
    from elpack.listed import Manifest
    from elpack.model import Target

_BACK = "elpack rpm-all makes it anew"


@dataclass(frozen=True, slots=True)
class Result:
    """One target's results in one layout.

    place: its folder below dist/, such as el9/x86_64 or el9/x86_64/bundle. id: what dnf calls its repository.
    """

    folder: Path
    place: str
    manifest: Manifest
    target: Target
    id: str

    def paths(self) -> Iterator[str]:
        """Yield the files that are published, as paths below the folder: all but the .repo file, and images.

        Images reach customers through a registry.
        """
        beside = (path for path in handed_over(self.folder) if not of_images(path))
        yield from (path for path in beside if kind_of(path) != "repo-file")

    def files(self) -> dict[str, File]:
        """Return all that is published of it, by path below the folder that is published."""
        listed = {file.path: file for file in self.manifest.files}
        found = {}
        for path in self.paths():
            if file := listed.get(path):
                content, unsigned = file.content, file.built.sha256 if file.signed else ""
                found[f"{self.place}/{path}"] = File(content.size, content.sha256, unsigned)
            else:
                beside = self.folder / path
                found[f"{self.place}/{path}"] = File(beside.stat().st_size, digest_of(beside))
        return found


def read_results(dist: Path, release: Release, target: str = "", *, snapshot: bool = False) -> tuple[Result, ...]:
    """Return what was built: of all targets, architectures and layouts, or of one target.

    Raises `PublishError` with every reason why it is not to be published: nothing there, unsigned, signed by another
    key than the release file's, a stand-in's or a throwaway key's without `snapshot`, of several versions or foreign.
    """
    places = {path: path.relative_to(dist).parts for path in finished(dist)}
    folders = [path for path, parts in places.items() if target in {"", parts[0]} and parts[1] != ALL]
    if not folders:
        what = f"there are no results{f' for {target}' if target else ''}"
        raise PublishError(Problem(what, where=str(dist), fix="elpack rpm-all makes them"))
    choices = {choice.name: choice for choice in release.targets}
    problems: list[Problem] = []
    results: list[Result] = []
    for folder in folders:
        place = str(folder.relative_to(dist))
        try:
            manifest = read_manifest(folder, PublishError)
            (repo,) = folder.glob("*.repo")
            target_of = resolve_target(choices[manifest.target], manifest.arch)
            result = Result(folder, place, manifest, target_of, repo.stem)
            problems += _problems(result, release, snapshot=snapshot)
            results.append(result)
        except PublishError as error:
            problems += error.problems
        except (KeyError, ValueError) as error:
            problems.append(Problem(f"they are not results of this release: {error!r}", where=place, fix=_BACK))
    problems += _different(results)
    if problems:
        raise PublishError(*problems)
    return tuple(results)


def _problems(result: Result, release: Release, *, snapshot: bool) -> Iterator[Problem]:
    manifest, where = result.manifest, result.place
    if manifest.release != release.name:
        yield Problem(f"it is of the release {manifest.release}, not of {release.name}", where)
    key = release.signing.key
    if not manifest.fingerprint:
        yield Problem("it is not signed", where, fix="elpack sign, or elpack rpm-all without --unsigned")
    elif manifest.throwaway:
        if not snapshot:
            yield Problem("a throwaway key signed it", where, fix="set [signing] key, or publish it with --snapshot")
    elif manifest.fingerprint != key:
        yield Problem(f"{manifest.fingerprint} signed it, not [signing] key = {key}", where, fix="elpack sign")
    if manifest.standin and not snapshot:
        why = "it was built on Debian's packages under EL9's names, and runs on no EL9"
        yield Problem("it is the stand-in's", where, why, fix="publish it with --snapshot, for trying it out only")
    yield from misplaced(result.folder, manifest, where)
    for one in deviations(result.folder, manifest):
        fix = "move it elsewhere" if one.wrong is Wrong.MORE else _BACK
        yield Problem(one.wrong, f"{where}/{one.path}", one.detail, fix)


def _different(results: Iterable[Result]) -> Iterator[Problem]:
    said = {result.place: (result.manifest.version, result.manifest.fingerprint) for result in results}
    if len(set(said.values())) > 1:
        lines = "\n".join(f"{place}: {version} by {key or 'nobody'}" for place, (version, key) in said.items())
        why = "one publication has one version and one key"
        yield Problem(f"the results do not belong together\n{lines}", "dist", why, fix=f"{_BACK}; --target picks one")

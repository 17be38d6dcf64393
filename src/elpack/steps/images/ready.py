"""The images in dist/ by name, of all architectures, and every reason why they are not to go out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.images.annotations import tag_of
from elpack.listed import ALL
from elpack.manifest import digest_of, finished, misplaced, read_manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.images.model import Flavour
    from elpack.listed import Manifest

_ARCHIVE = re.compile(r"images/([^/]+)\.oci\.tar")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_BACK = "elpack image build makes it anew"


@dataclass(frozen=True, slots=True)
class Ready:
    """An image of a target, under the name of which it goes out.

    stem: how its files begin. folders: the results that it is in, with their manifests, by architecture (``x86_64``).
    """

    target: str
    stem: str
    tag: str
    folders: dict[str, tuple[Path, Manifest]] = field(default_factory=dict)

    @property
    def archives(self) -> list[Path]:
        """Its OCI archives, in the order of architectures."""
        return [folder / f"images/{self.stem}.oci.tar" for _, (folder, _) in sorted(self.folders.items())]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images are asked for; what is empty leaves none out.

    whole: only those that every architecture of the release has; else one that some lack is a problem.
    """

    target: str = ""
    flavours: Collection[Flavour] = ()
    arches: Collection[str] = ()
    whole: bool = False

    def has(self, listed: Manifest) -> bool:
        """Tell whether images of these results may be among them."""
        return self.target in {"", listed.target} and (not self.arches or listed.arch in self.arches)

    def stems(self, listed: Manifest) -> Iterator[str]:
        """Yield how the names of the images' files begin in some results."""
        for file in listed.files:
            match = _ARCHIVE.fullmatch(file.path)
            if match and (not self.flavours or match[1].rpartition("-")[2] in set(self.flavours)):
                yield match[1]


def ready_images(dist: Path, release: Release, wanted: Wanted, *, snapshot: bool = False) -> tuple[Ready, ...]:
    """Return the images that lie in dist/, in order of tags.

    Raises `ImageError` with every reason why they are not to go out: nothing there, changed since they were made,
    unsigned results, a stand-in's or a throwaway key's without `snapshot`, or one of an architecture that the release
    names is not there, unless `wanted` names others: an image that users know cannot be completed later.
    """
    found: dict[str, Ready] = {}
    problems: list[Problem] = []
    for folder in finished(dist):
        listed = read_manifest(folder, ImageError)
        stems = list(wanted.stems(listed))
        if not stems or not wanted.has(listed) or listed.arch == ALL:
            continue
        problems += [*misplaced(folder, listed, str(folder)), *_reasons(folder, listed, release, snapshot=snapshot)]
        for stem in stems:
            problems += _damaged(folder, listed, stem)
            tag = tag_of(release.application.name, stem)
            one = found.setdefault(tag, Ready(listed.target, stem, tag))
            if listed.arch in one.folders:
                what = f"it is here, and in {one.folders[listed.arch][0]} too"
                problems.append(Problem(what, f"{folder}: {stem}", fix="remove the one that is not to go out"))
            one.folders[listed.arch] = folder, listed
    problems += [Problem(f"{tag!r} cannot be a tag", str(dist)) for tag in found if not _TAG.fullmatch(tag)]
    lacking = {tag: list(_incomplete(one, release, wanted.arches)) for tag, one in found.items()}
    if wanted.whole:
        found = {tag: one for tag, one in found.items() if not lacking[tag]}
    else:
        problems += [problem for more in lacking.values() for problem in more]
    if problems:
        raise ImageError(*problems)
    if not found:
        asked = " and ".join(filter(None, (wanted.target, *wanted.arches)))
        what = f"there are no images{f' for {asked}' if asked else ''}"
        raise ImageError(Problem(what, str(dist), fix="elpack image build makes them"))
    return tuple(one for _, one in sorted(found.items()))


def _reasons(folder: Path, listed: Manifest, release: Release, *, snapshot: bool) -> Iterator[Problem]:
    where = str(folder)
    if listed.release != release.name:
        yield Problem(f"these are results of {listed.release}, not of {release.name}", where)
    if not listed.fingerprint:
        yield Problem("the results that the images belong to are not signed", where, fix="elpack sign")
    if listed.standin and not snapshot:
        yield Problem("they are made of the stand-in, and nothing of it is EL9's", where, fix="--snapshot")
    if listed.throwaway and not snapshot:
        fix = "set [signing] key and build, or push it as a --snapshot"
        yield Problem("a throwaway key signed the packages in them", where, fix=fix)


def _damaged(folder: Path, listed: Manifest, stem: str) -> Iterator[Problem]:
    """Yield which files of an image are not what the manifest lists."""
    for file in listed.files:
        if not file.path.startswith(f"images/{stem}."):
            continue
        path = folder / file.path
        if not path.is_file() or path.is_symlink():
            yield Problem("it is not there", str(path), fix=_BACK)
        elif path.stat().st_size != file.content.size or digest_of(path) != file.content.sha256:
            yield Problem("it is not what the manifest lists", str(path), fix=_BACK)


def _incomplete(image: Ready, release: Release, asked: Collection[str]) -> Iterator[Problem]:
    """Yield the architectures that are asked for, or that the release names for the target, and have no image."""
    named: Mapping[str, tuple[str, ...]] = {choice.name: choice.arches for choice in release.targets}
    for arch in asked or named.get(image.target, ()):
        if arch not in image.folders:
            there = " and ".join(sorted(image.folders))
            why = "what users have under one name cannot be completed later"
            own = " ".join(f"--arch {one}" for one in sorted(image.folders))
            fix = f"elpack image build --target {image.target} --arch {arch}; or push {own}, and never the other"
            yield Problem(f"there is an image for {there}, and none for {arch}", image.tag, why, fix)

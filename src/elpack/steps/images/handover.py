"""Images in a folder of results: put there, kept while they belong to the same release, taken away when not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.errors import ImageError
from elpack.listed import IMAGES, PACKAGES, kind_of, of_images
from elpack.manifest import (
    BESIDE,
    MANIFEST,
    deviations,
    digest_of,
    drop_index,
    list_files,
    read_manifest,
    write_index,
    write_json,
)
from elpack.steps.exchange import exchanged, link_or_copy
from elpack.steps.images.joint import drop_stale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.listed import Listed, Manifest
    from elpack.steps.sign import RememberingSigner


def keep_images(old: Path, stage: Path, listed: Manifest) -> Manifest:
    """Take over the images of earlier results if they are of the very release that was made again.

    That is one with the same packages by the same key, described by the same release file. Returns the new manifest,
    which lists what was taken over.
    """
    if not (old / IMAGES).is_dir() or not (old / MANIFEST).exists():
        return listed
    try:
        before = read_manifest(old, ImageError)
    except ImageError:
        return listed
    own = {file.path: file for file in before.files if of_images(file.path)}
    damaged = any(of_images(one.path) for one in deviations(old, replace(before, files=tuple(own.values()))))
    if damaged or _content(before) != _content(listed):
        return listed
    for path in own:
        (stage / path).parent.mkdir(exist_ok=True)
        link_or_copy(old / path, stage / path)
    return replace(listed, files=(*listed.files, *own.values()))


def _content(manifest: Manifest) -> tuple[str, frozenset[Listed]]:
    """Return what images are made of, as far as a manifest tells."""
    return manifest.fingerprint, frozenset(file for file in manifest.files if file.kind in {*PACKAGES, "release"})


def add_images(dist: Path, output: Path, files: Mapping[str, Path], seal: RememberingSigner | None) -> None:
    """Put files into the folder of images of finished results, by name; there each of them gets a second name.

    What is there already under other names stays. All of it is in the new manifest, which is signed unless there is
    nobody who does.
    """
    if all(_same(output / IMAGES / name, path) for name, path in files.items()):
        return
    manifest = read_manifest(output, ImageError)
    beside = [path.name for path in output.iterdir() if path.name in BESIDE]
    with exchanged(output, kept=beside) as stage:
        _take_over(output, stage, files)
        names = {file.name: file for file in manifest.files if file.kind in PACKAGES}
        listed = replace(manifest, files=tuple(list_files(stage, names, signed=bool(manifest.fingerprint))))
        write_json(stage / MANIFEST, listed.as_json())
        if seal:
            seal.file(stage / MANIFEST)
        drop_index(dist)
    drop_stale(dist)
    write_index(dist)


def _take_over(output: Path, stage: Path, files: Mapping[str, Path]) -> None:
    for path in output.iterdir():
        if path.name in BESIDE or kind_of(path.name) == "manifest" or path.name == f"{MANIFEST}.asc":
            continue
        if path.is_dir():
            shutil.copytree(path, stage / path.name, symlinks=True, copy_function=link_or_copy)
        else:
            link_or_copy(path, stage / path.name)
    (stage / IMAGES).mkdir(exist_ok=True)
    for name, path in files.items():
        (stage / IMAGES / name).unlink(missing_ok=True)
        link_or_copy(path, stage / IMAGES / name)


def _same(there: Path, made: Path) -> bool:
    return there.is_file() and (there.samefile(made) or digest_of(there) == digest_of(made))

"""Signs what lies in dist: on another machine, by another key than before, or its metadata anew."""

from __future__ import annotations

import configparser
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import Problem, SigningError
from elpack.manifest import (
    BESIDE,
    MANIFEST,
    Wrong,
    deviations,
    digest_of,
    drop_index,
    handed_over,
    list_files,
    misplaced,
    read_manifest,
    write_index,
    write_json,
)
from elpack.steps.describe import renewed_provenance, resign_images
from elpack.steps.exchange import exchanged
from elpack.steps.images.joint import drop_stale
from elpack.steps.repository import About, Packages, publish
from elpack.store.lock import held_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.listed import Manifest
    from elpack.steps.sign import Signer

_PLACES = ("repo", "debug", "srpms", "buildroot")
_DAMAGED = "it was changed after it was built, or not copied whole"


def sign_results(
    dist: Path, folders: tuple[Path, ...], signer: Signer, say: Callable[[str], None], *, metadata: bool
) -> int:
    """Sign results, each folder in one step, and return how many RPMs they have; `metadata`: not the RPMs themselves.

    Every file must be what its manifest says. For `metadata` the manifest must have a signature by one of the trusted
    keys, for nothing else tells that it is the one that was signed. Raises `SigningError` with all that is wrong.
    """
    count = 0
    with held_folder(dist):
        drop_index(dist)
        try:
            for folder in folders:
                say(str(folder.relative_to(dist)))
                count += _sign(folder, signer, metadata=metadata)
        finally:
            drop_stale(dist)
            # each folder is the old one or the new one, also when something is wrong with another
            write_index(dist)
    return count


def _sign(folder: Path, signer: Signer, *, metadata: bool) -> int:
    _refuse_pipes(folder)
    beside = [path.name for path in folder.iterdir() if path.name in BESIDE]
    with exchanged(folder, kept=beside) as stage:
        # what is checked is a copy that nobody else can write, and that copy is what is signed
        taken = stage / ".taken"
        shutil.copytree(folder, taken, symlinks=True, ignore=lambda at, _: beside if Path(at) == folder else ())
        manifest = _checked(folder, taken, signer, metadata=metadata)
        about = _about(taken, folder, manifest)
        copies = _copies(taken, signer, stage / ".signed", metadata=metadata)
        packages = Packages(*(tuple(copies[path.name] for path in _rpms(taken / place)) for place in _PLACES))
        publish(packages, stage, about, signer)
        by_path = {
            f"{place}/{path.name}": digest_of(path) for place, paths in packages.places().items() for path in paths
        }
        renewed_provenance(taken, stage, by_path, signer, signer.key.fingerprint)
        for path in taken.iterdir():
            if not (stage / path.name).exists() and path.suffix != ".asc" and path.name != MANIFEST:
                path.rename(stage / path.name)
        resign_images(stage, signer, signer.key.fingerprint)
        shutil.rmtree(taken)
        shutil.rmtree(stage / ".signed", ignore_errors=True)
        files = tuple(list_files(stage, manifest.packages(), signed=True))
        renewed = replace(manifest, files=files, fingerprint=signer.key.fingerprint, throwaway=signer.throwaway)
        write_json(stage / MANIFEST, renewed.as_json())
        signer.file(stage / MANIFEST)
    return len(copies)


def _refuse_pipes(folder: Path) -> None:
    """Raise `SigningError` for what cannot be copied, and what who reads it would wait for without end."""
    problems = [
        Problem(Wrong.NO_FILE, where=str(path), why="it was put there by somebody else")
        for path in handed_over(folder).values()
        if not path.is_symlink() and not path.is_file()
    ]
    if problems:
        raise SigningError(*problems)


def _checked(folder: Path, taken: Path, signer: Signer, *, metadata: bool) -> Manifest:
    """Return the manifest of a copy of results that are as it says. Raises `SigningError` naming the originals."""
    manifest = read_manifest(taken, SigningError)
    problems = [*misplaced(folder, manifest, str(folder))]
    problems += [*_stranger(taken, signer)] if metadata else []
    problems += _differences(taken, manifest, before_signing=not metadata)
    if problems:
        named = (replace(one, where=one.where.replace(str(taken), str(folder), 1)) for one in problems)
        raise SigningError(*named)
    return manifest


def _copies(folder: Path, signer: Signer, into: Path, *, metadata: bool) -> dict[str, Path]:
    """Return by name what is handed over: as it is, or signed copies."""
    unsigned = {path.name: path for place in _PLACES for path in _rpms(folder / place)}
    if metadata:
        return unsigned
    return {path.name: path for path in signer.rpms(tuple(unsigned.values()), into)}


def _rpms(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.rpm"))


def _differences(folder: Path, manifest: Manifest, *, before_signing: bool) -> Iterator[Problem]:
    for one in deviations(folder, manifest, before_signing=before_signing):
        if one.wrong is Wrong.MORE:
            yield Problem(one.wrong, where=str(folder / one.path), why="it was put there by somebody else")
        else:
            why = f"{_DAMAGED}: {one.detail}" if one.detail else _DAMAGED
            yield Problem(one.wrong, str(folder / one.path), why, "copy it again, or build")


def _stranger(folder: Path, signer: Signer) -> Iterator[Problem]:
    path, signature = folder / MANIFEST, folder / f"{MANIFEST}.asc"
    by = signer.keyring.verify(path, signature) if signature.exists() else None
    if by not in signer.trusted:
        why = f"its signature is by {by}" if by else "it has no valid signature by a key of this home"
        fix = "elpack sign without --metadata, if you know where these files come from"
        yield Problem("it is not what a trusted key signed", str(path), why, fix)


def _about(taken: Path, folder: Path, manifest: Manifest) -> About:
    """Return what the .repo file says already, but for the folder if that is no address on the web."""
    files = sorted(taken.glob("*.repo"))
    try:
        (path,) = files
        text = configparser.ConfigParser(interpolation=None)
        text.read(path)
        title, url = text[path.stem]["name"], text[path.stem]["baseurl"].removesuffix("/repo")
    except (ValueError, KeyError, configparser.Error) as error:
        names = ", ".join(path.name for path in files) or "none"
        raise SigningError(Problem(f"expected one .repo file of elpack's, found: {names}", str(folder))) from error
    if not (title + url).isprintable():
        raise SigningError(Problem("name or baseurl holds a line of its own", str(path), _DAMAGED))
    served = not url.startswith("file:")
    return About(path.stem, manifest.release, title, url if served else folder.as_uri(), served)

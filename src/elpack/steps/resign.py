"""Signs what lies in dist: on another machine, by another key than before, or its metadata anew."""

from __future__ import annotations

import configparser
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem, SigningError
from elpack.manifest import (
    drop_index,
    file_artefacts,
    repodata_artefacts,
    repodata_files,
    write_index,
    write_json,
)
from elpack.steps.describe import PROVENANCE, renewed_provenance
from elpack.steps.exchange import exchanged, link_or_copy
from elpack.steps.repository import About, Packages, publish
from elpack.store.lock import held_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from elpack.steps.sign import Signer

_PLACES = ("repo", "debug", "srpms", "buildroot")
_OTHERS = ("spec", "sbom", "provenance")
_DAMAGED = "it was changed after it was built, or not copied whole"


def results(dist: Path, target: str = "", arch: str = "", layout: str = "") -> tuple[Path, ...]:
    """Return the folders of finished results, those of the named target, architecture and layout if any is named.

    Raises `SigningError` when there is none.
    """
    found = []
    for path in sorted((*dist.glob("*/*/manifest.json"), *dist.glob("*/*/*/manifest.json"))):
        if any(part.startswith(".") for part in path.relative_to(dist).parts):
            continue  # under way
        manifest = _read(path)
        about = (manifest["target"]["name"], manifest["target"]["arch"], manifest["layout"])
        if all(wanted in {"", has} for wanted, has in zip((target, arch, layout), about, strict=True)):
            found.append(path.parent)
    if not found:
        raise SigningError(Problem("there is nothing to sign", str(dist), fix="elpack rpm --unsigned"))
    return tuple(found)


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
        for folder in folders:
            say(str(folder.relative_to(dist)))
            count += _sign(folder, signer, metadata=metadata)
        write_index(dist)
    return count


def _sign(folder: Path, signer: Signer, *, metadata: bool) -> int:
    manifest = _read(folder / "manifest.json")
    problems = [*_stranger(folder, signer)] if metadata else []
    problems += [*_differences(folder, manifest, signed=metadata), *_other_differences(folder, manifest)]
    if problems:
        raise SigningError(*problems)
    kept = [path.name for path in folder.iterdir() if path.is_dir() and path.name not in {*_PLACES, PROVENANCE}]
    about = _about(folder, manifest)
    with exchanged(folder, kept=kept) as stage:
        copies = _copies(folder, signer, stage / ".signed", metadata=metadata)
        packages = Packages(*(tuple(copies[path.name] for path in _rpms(folder / place)) for place in _PLACES))
        publish(packages, stage, about, signer)
        by_path = {
            f"{place}/{path.name}": _digest(path) for place, paths in packages.places().items() for path in paths
        }
        stated = renewed_provenance(folder, stage, by_path, signer, signer.key.fingerprint)
        for path in folder.iterdir():
            if path.is_file() and not (stage / path.name).exists() and path.suffix != ".asc":
                link_or_copy(path, stage / path.name)
        (stage / "manifest.json").unlink()
        write_json(stage / "manifest.json", _listed(manifest, copies, stage, signer, stated))
        shutil.rmtree(stage / ".signed", ignore_errors=True)
        for path in folder.iterdir():
            if path.suffix == ".asc" and (stage / path.stem).is_file():
                signer.file(stage / path.stem)
        signer.file(stage / "manifest.json")
    return len(copies)


def _copies(folder: Path, signer: Signer, into: Path, *, metadata: bool) -> dict[str, Path]:
    """Return by name what is handed over: as it is, or signed copies."""
    unsigned = {path.name: path for place in _PLACES for path in _rpms(folder / place)}
    if metadata:
        return unsigned
    return {path.name: path for path in signer.rpms(tuple(unsigned.values()), into)}


def _rpms(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.rpm"))


def _differences(folder: Path, manifest: Mapping[str, Any], *, signed: bool) -> Iterator[Problem]:
    """Yield what is not as the manifest says: RPMs as they were before signing or after it, none more and none less."""
    known = {entry["name"]: entry for entry in manifest["artefacts"] if entry["name"].endswith(".rpm")}
    seen = set()
    for path in (path for place in _PLACES for path in _rpms(folder / place)):
        seen.add(path.name)
        if path.name not in known:
            yield Problem("the manifest does not list it", where=str(path), why="it was put there by somebody else")
            continue
        entry = known[path.name]
        wanted = {entry.get("signed", {}).get("sha256")} | (set() if signed else {entry["sha256"]})
        if _digest(path) not in wanted:
            yield Problem("it is not the file that the manifest lists", str(path), _DAMAGED, "copy it again, or build")
    for name in sorted(known.keys() - seen):
        yield Problem("it is missing", where=str(folder / name), why=_DAMAGED, fix="copy it again, or build")


def _other_differences(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield which specs, bills of materials and statements are not as the manifest says; statements are signed, too."""
    listed = {entry["name"]: entry for entry in manifest["artefacts"] if entry["kind"] in _OTHERS}
    paths = {(f"specs/{name}" if entry["kind"] == "spec" else name): entry for name, entry in listed.items()}
    for name, entry in sorted(paths.items()):
        path = folder / name
        if not path.is_file():
            yield Problem("it is missing", where=str(path), why=_DAMAGED, fix="copy it again, or build")
        elif _digest(path) != entry["sha256"]:
            yield Problem("it is not the file that the manifest lists", str(path), _DAMAGED, "copy it again, or build")
    for path in sorted(path for place in ("specs", "sbom", PROVENANCE) for path in (folder / place).glob("*")):
        if str(path.relative_to(folder)) not in paths:
            yield Problem("the manifest does not list it", where=str(path), why="it was put there by somebody else")


def _stranger(folder: Path, signer: Signer) -> Iterator[Problem]:
    path, signature = folder / "manifest.json", folder / "manifest.json.asc"
    by = signer.keyring.verify(path, signature) if signature.exists() else None
    if by not in signer.trusted:
        why = f"its signature is by {by}" if by else "it has no valid signature by a key of this home"
        fix = "elpack sign without --metadata, if you know where these files come from"
        yield Problem("it is not what a trusted key signed", str(path), why, fix)


def _listed(
    manifest: dict[str, Any], copies: Mapping[str, Path], stage: Path, signer: Signer, stated: Iterable[Path]
) -> dict[str, Any]:
    """Return the manifest with the new signatures, repodata and provenance."""
    made_anew = ("repodata", PROVENANCE)
    artefacts = [dict(entry) for entry in manifest["artefacts"] if entry["kind"] not in made_anew]
    for entry in artefacts:
        if path := copies.get(entry["name"]):
            entry["signed"] = {"size": path.stat().st_size, "sha256": _digest(path)}
    artefacts += repodata_artefacts(repodata_files(stage))
    artefacts += file_artefacts(stated)
    ordered = sorted(artefacts, key=lambda entry: (entry["kind"], entry["name"]))
    return {**manifest, "artefacts": ordered, "signing": signer.description()}


def _about(folder: Path, manifest: Mapping[str, Any]) -> About:
    """Return what the .repo file says already, but for the folder if that is no address on the web."""
    files = sorted(folder.glob("*.repo"))
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
    return About(path.stem, manifest["release"], title, url if served else folder.as_uri(), served)


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        _ = manifest["target"]["name"], manifest["target"]["arch"], manifest["layout"], manifest["release"]
        _ = [(entry["kind"], entry["name"], entry["sha256"]) for entry in manifest["artefacts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SigningError(Problem(f"it is no manifest of elpack's: {error!r}", where=str(path))) from error
    return manifest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The manifest of dist/wheels: each file, how it was made and what was tried of it, and what is not there and why."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from elpack.atomic import write_text
from elpack.manifest import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.model import SdistFacts
    from elpack.wheels.model import Cell

MANIFEST = "manifest.json"
_PLACE = ("package", "interpreter", "arch", "platform")


def entries(folder: Path, key: str = "files") -> list[dict[str, Any]]:
    """Return what the manifest lists; a file that is damaged, or not there, lists nothing."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        found = [dict(entry) for entry in json.loads((folder / MANIFEST).read_text())[key]]
        return [entry for entry in found if key != "files" or isinstance(entry["file"], str)]
    return []


def write_manifest(
    folder: Path, files: Iterable[Mapping[str, Any]], missing: Iterable[Mapping[str, Any]], tests: Sequence[Any]
) -> None:
    """Write it. missing: places of the matrix without a wheel.

    tests: results of trials; of a file those are told that are of its very bytes.
    """
    told = sorted((_with_tests(entry, tests) for entry in files if (folder / entry["file"]).exists()), key=_name)
    lacking = sorted(missing, key=lambda one: [str(one.get(key, "")) for key in _PLACE])
    write_text(folder / MANIFEST, json.dumps({"files": told, "missing": lacking}, indent=2) + "\n")


def still_true(
    before: Iterable[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
    sdists: Iterable[SdistFacts],
    cells: Iterable[Cell],
) -> list[Mapping[str, Any]]:
    """Return the entries of before that stand beside what was made now.

    Others are of another version or source of their package, of a place that the matrix has no more, or of one that
    was made anew.
    """
    current = {canonicalize_name(one.metadata.name): one for one in sdists}
    taken = {_told_place(entry) for entry in made if entry["kind"] == "wheel"}
    free = {_place_of(cell) for cell in cells} - taken
    names = {entry["file"] for entry in made}
    return [
        entry
        for entry in before
        if entry["file"] not in names and _is_of(entry, current) and _told_place(entry) in free
    ]


def remove_stale(folder: Path, before: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> None:
    """Remove files that the manifest of before lists and that of now does not.

    A file that nobody listed, or that is another one by now, is a user's, and stays.
    """
    kept = {entry["file"] for entry in now}
    for entry in before:
        path = folder / entry["file"]
        ours = path.parent == folder and path.is_file() and not path.is_symlink()
        if entry["file"] not in kept and ours and digest_of(path) == entry.get("sha256"):
            path.unlink()


def missing_of(
    cells: Iterable[Cell], files: Sequence[Mapping[str, Any]], reasons: Mapping[Cell, str]
) -> list[dict[str, str]]:
    """Return the places that no file is of, each with the reason: that of the matrix, or why its build failed."""
    there = {_told_place(entry) for entry in files if entry.get("kind") == "wheel"}
    found = []
    for cell in cells:
        if (place := _place_of(cell)) not in there:
            reason = cell.reason if not cell.how.is_built else reasons.get(cell, "it was not asked for yet")
            found.append({**dict(zip(_PLACE, place, strict=True)), "reason": reason})
    return found


def _place_of(cell: Cell) -> tuple[str, ...]:
    return (str(cell.package), cell.interpreter, cell.arch, cell.platform if cell.arch else "")


def _told_place(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in _PLACE)


def _is_of(entry: Mapping[str, Any], sdists: Mapping[NormalizedName, SdistFacts]) -> bool:
    """Tell whether an entry is a wheel of one of these sdists; older manifests tell the version only."""
    try:
        name, version = parse_wheel_filename(entry["file"])[:2]
    except InvalidWheelFilename:
        return False
    sdist = sdists.get(name)
    if sdist is None or Version(sdist.metadata.version) != version:
        return False
    return bool(entry.get("sdist", sdist.sha256) == sdist.sha256)


def _with_tests(entry: Mapping[str, Any], tests: Sequence[Any]) -> dict[str, Any]:
    found = [
        {
            "interpreter": one["interpreter"],
            "arch": one.get("arch", ""),
            "python": one["python"],
            "state": one["state"],
            "parts": {part["name"]: part["counts"] or part["state"] for part in one["parts"]},
        }
        for one in tests
        if one.get("file") == entry["file"] and one.get("sha256") == entry["sha256"] and one.get("parts")
    ]
    return {**{key: value for key, value in entry.items() if key != "tests"}, **({"tests": found} if found else {})}


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["file"])

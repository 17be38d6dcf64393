"""The manifest of dist/wheels: each file, how it was made and what was tried of it, and what is not there and why."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from elpack.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

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


def missing_of(
    cells: Iterable[Cell], files: Sequence[Mapping[str, Any]], reasons: Mapping[Cell, str]
) -> list[dict[str, str]]:
    """Return the places that no file is of, each with the reason: that of the matrix, or why its build failed."""
    there = {tuple(entry.get(key, "") for key in _PLACE) for entry in files if entry.get("kind") == "wheel"}
    found = []
    for cell in cells:
        place = (str(cell.package), cell.interpreter, cell.arch, cell.platform if cell.arch else "")
        if place not in there:
            reason = cell.reason if not cell.how.is_built else reasons.get(cell, "it was not asked for yet")
            found.append({**dict(zip(_PLACE, place, strict=True)), "reason": reason})
    return found


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

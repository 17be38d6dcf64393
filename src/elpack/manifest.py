"""The manifests: every artefact with its kind, size, digest and the plan node that made it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from elpack import __version__
from elpack.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.config import Release
    from elpack.plan.model import Plan
    from elpack.steps.results import Result
    from elpack.store import StoredFile

FORMAT = 1


def manifest(
    plan: Plan,
    results: Iterable[Result],
    repodata: Iterable[Path],
    signed: Mapping[Path, StoredFile] | None = None,
    signing: Mapping[str, Any] | None = None,
    *,
    files: Iterable[Path] = (),
) -> dict[str, Any]:
    """Return the manifest of a finished build. Sizes are in bytes; the order is that of kind and name.

    repodata: the metadata of the repositories that are handed over, see `repodata_files`. signed: the signed
    copies of the results' files. signing: who signed them. files: specs, bills of materials and provenance.
    """
    nodes, delivered = plan.by_node(), {package.node for package in plan.published()}
    artefacts: list[dict[str, Any]] = []
    for result in results:
        package = nodes[result.node]
        for file in result.entry.files:
            name = file.path.name
            kind = "debug-rpm" if file.path in result.debug else _kind(name, published=package.node in delivered)
            artefacts.append(
                {
                    "kind": kind,
                    "name": name,
                    "size": file.size,
                    "sha256": file.sha256,
                    "node": package.node,
                    "dist": f"{package.dist}=={package.upstream_version}",
                    **_signed(signed.get(file.path) if signed else None),
                }
            )
    artefacts += [*repodata_artefacts(repodata), *file_artefacts(files)]
    return {
        "format": FORMAT,
        "elpack": __version__,
        "release": plan.release,
        "version": plan.version,
        "layout": plan.layout,
        "target": {"name": plan.target.name, "python": plan.target.python, "arch": plan.target.arch},
        "standin": plan.target.standin,
        **({"signing": dict(signing)} if signing else {}),
        "artefacts": sorted(artefacts, key=lambda artefact: (artefact["kind"], artefact["name"])),
    }


def repodata_files(folder: Path) -> list[Path]:
    """Return the metadata of the repositories that a target's results have for hosts, without signatures.

    A signature proves itself, and is another one each time it is made.
    """
    files = (path for name in ("repo", "debug") for path in (folder / name / "repodata").glob("*"))
    return sorted(path for path in files if path.suffix != ".asc")


def repodata_artefacts(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the entries of a manifest for metadata; those of debug/ are named with it."""
    found = []
    for path in files:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        debug = path.parent.parent.name == "debug"
        name = f"{'debug/' if debug else ''}repodata/{path.name}"
        found.append({"kind": "repodata", "name": name, "size": len(data), "sha256": digest})
    return found


def file_artefacts(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the entries of a manifest for other files. Their folder tells their kind, and names all but specs."""
    found = []
    for path in files:
        data, folder = path.read_bytes(), path.parent.name
        kind, name = ("spec", path.name) if folder == "specs" else (folder, f"{folder}/{path.name}")
        found.append({"kind": kind, "name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    return found


def _signed(copy: StoredFile | None) -> dict[str, Any]:
    return {"signed": {"size": copy.size, "sha256": copy.sha256}} if copy else {}


def write_json(path: Path, value: object) -> None:
    """Write a JSON file in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_index(dist: Path) -> None:
    """Write dist/manifest.json: the manifests of all targets that were built, by their folder."""
    every = sorted((*dist.glob("*/*/manifest.json"), *dist.glob("*/*/*/manifest.json")))
    # what begins with a dot is under way
    found = [path for path in every if not any(part.startswith(".") for part in path.relative_to(dist).parts)]
    targets = {str(path.parent.relative_to(dist)): json.loads(path.read_text()) for path in found}
    write_json(dist / "manifest.json", {"format": FORMAT, "targets": targets})


def drop_index(dist: Path) -> None:
    """Remove dist/manifest.json, for as long as it would not be what the targets' own manifests say."""
    (dist / "manifest.json").unlink(missing_ok=True)


def effective(release: Release) -> dict[str, Any]:
    """Return the release as elpack understood it, every default filled in."""
    return dict(json.loads(json.dumps(asdict(release), default=_plain)))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _kind(name: str, *, published: bool) -> str:
    if name.endswith(".src.rpm"):
        return "srpm" if published else "buildroot-srpm"
    return "rpm" if published else "buildroot-rpm"

"""Results in dist/ with made-up images of the WAMP release."""

from __future__ import annotations

import json
from pathlib import Path

from tests.contract.images.layouts import make_archive

from elpack.config import parse_release
from elpack.images.model import FLAVOURS
from elpack.listed import Content, Listed, Manifest
from elpack.manifest import digest_of, write_json
from elpack.model import Layout

ROOT = Path(__file__).parents[1]
RELEASE = parse_release((ROOT / "elpack.toml").read_text())
FINGERPRINT = "A" * 40
_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def results(
    dist: Path,
    arch: str = "x86_64",
    *,
    standin: bool = False,
    throwaway: bool = False,
    fingerprint: str = FINGERPRINT,
    statement: object = None,
) -> Path:
    """Write results with an image of each flavour."""
    folder = dist / "el9" / arch
    (folder / "images").mkdir(parents=True)
    files = []
    for flavour in FLAVOURS:
        stem = f"images/crossbar-26.10.1-1.el9-{flavour}"
        make_archive(folder / f"{stem}.oci.tar", arch=_NAMES[arch], layers=(f"{flavour} {arch}".encode(), b"more"))
        (folder / f"{stem}.cdx.json").write_text('{"bomFormat": "CycloneDX"}')
        (folder / f"{stem}.intoto.json").write_text(json.dumps(statement or {"predicate": {"arch": arch}}))
        for suffix in ("oci.tar", "cdx.json", "intoto.json"):
            path = folder / f"{stem}.{suffix}"
            files.append(Listed(f"{stem}.{suffix}", Content(path.stat().st_size, digest_of(path))))
    manifest = Manifest(
        *("0.1", RELEASE.name, "26.10.1", Layout.STACK, "el9", "3.12", arch),
        standin=standin,
        files=tuple(files),
        fingerprint=fingerprint,
        throwaway=throwaway,
    )
    write_json(folder / "manifest.json", manifest.as_json())
    return folder

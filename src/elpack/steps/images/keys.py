"""Tells whether an image has to be made: the digest of all that goes into it, and what an earlier run left."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING

from elpack import __version__
from elpack.listed import PACKAGES
from elpack.manifest import digest_of, effective, write_json
from elpack.steps.images.home import home_of
from elpack.steps.images.pypy_program import program_digest
from elpack.steps.images.recipe import base_definition
from elpack.steps.images.uv_inputs import made_here
from elpack.steps.images.uv_sandbox import uv_program
from elpack.steps.images.wheels import wheel_key
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from elpack.images.bases import BaseDefinition
    from elpack.listed import Manifest
    from elpack.session import Session

_FORMAT = 1
"""Raised when an image, or what describes it, would be another one for the same input."""
_RECORD = "made.json"
_ELSEWHERE = frozenset({"smoke", "publish", "signing", "promises", "builds"})
"""Tables of the release file that are nothing to an image."""
_TRIED = frozenset({"expect", "run"})
"""Keys of [images.pypy] that are about the smoke test alone."""


def image_key(session: Session, text: str, listed: Manifest) -> str:
    """Return the digest of all that makes an image: its Containerfile, the release, the plan, and the packages' files.

    listed: the manifest of the results that the image will belong to.
    """
    settings = settings_of(effective(session.project.release))
    sources = sorted(f"{one.filename} {one.sha256}" for package in session.plan.packages for one in package.sources)
    packages = sorted(f"{one.path} {one.content.sha256}" for one in listed.files if one.kind in PACKAGES)
    base = base_definition(session)
    programs = [_program(name) for name in ("finish_tree.py", "uv_task.py")] + [digest_of(uv_program())]
    inputs = [asdict(base), session.base.digest, listed.fingerprint, sources, packages]
    whole = [_FORMAT, __version__, text, settings, programs, *inputs, *_compiled(session, base)]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def settings_of(release: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a release an image hangs on: how it is tried is not among that."""
    found = {key: value for key, value in release.items() if key not in _ELSEWHERE}
    images = {key: value for key, value in found["images"].items() if key != "smoke"}
    images["pypy"] = {key: value for key, value in images["pypy"].items() if key not in _TRIED}
    return {**found, "images": images}


def _compiled(session: Session, base: BaseDefinition) -> list[str]:
    """Return the keys of what is compiled for an image alone: for PyPy, whose roots and crates no package knows."""
    if not session.target.pypy:
        return []
    home = home_of(session)
    program = [program_digest()] if base.later else []
    return program + sorted(wheel_key(package, session, home) for package in made_here(session).values())


def _program(name: str) -> str:
    return hashlib.sha256((resources.files("elpack.assets") / name).read_bytes()).hexdigest()


def remember(folder: Path, key: str, files: Iterable[Path], seconds: float) -> None:
    """Note that the files of a folder are those of a key, and how long they took."""
    listed = {path.name: digest_of(path) for path in files}
    write_json(folder / _RECORD, {"key": key, "files": listed, "seconds": seconds})


def made_before(folder: Path, key: str) -> tuple[list[Path], float] | None:
    """Return the files of a key and the seconds that they took, None where they are not all there as they were."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        record = json_value((folder / _RECORD).read_bytes())
        files = {folder / name: digest for name, digest in record["files"].items()}
        if record["key"] == key and all(digest_of(path) == digest for path, digest in files.items()):
            return list(files), float(record["seconds"])
    return None

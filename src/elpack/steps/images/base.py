"""Provides the base image of flavour `uv`: pulled by its digest, or made of the stand-in's packages."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.engine.layers import load_layers
from elpack.errors import InstallError
from elpack.images.annotations import platform_of
from elpack.images.bases import base_for, engine_name, pinned, split_reference
from elpack.images.layered import layered
from elpack.images.model import Images, Layer
from elpack.images.oci import OciDigest, oci_digest
from elpack.images.root import OS
from elpack.model import Sha256
from elpack.steps.images.database import export_database
from elpack.steps.images.members import database, members, owned_paths
from elpack.steps.images.pins import pins
from elpack.steps.images.pypy_program import program, program_parts
from elpack.steps.images.pypy_root import debian_root, image_members
from elpack.steps.images.tars import write_layer
from elpack.store.lock import locked
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.engine import Engine
    from elpack.images.bases import BaseDefinition, PinnedBase
    from elpack.session import Session
    from elpack.steps.images.pypy_root import DebianRoot

_FORMAT = "1"
"""Raise it when a stand-in's base would be another one than before."""

_TAR, _FACTS = "base.tar", "base.json"


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base that the engine has.

    reference: what `FROM` says, one name for one architecture. name and digest: what the annotations base.name and
    base.digest say; a stand-in's name says that it is one. python: path of its interpreter. size: bytes, uncompressed.
    """

    definition: BaseDefinition
    reference: str
    name: str
    digest: OciDigest
    python: str
    size: int = 0


def base_image(session: Session, engine: Engine, say: Callable[[str], None]) -> BaseImage:
    """Return the base of the session's target, in the engine. Needs `session.base` (pipeline step `base`).

    Raises `ImageError` for a base that is missing, is not pinned, or does not fit the target; `EngineError` and
    `RegistryError` where it cannot be pulled.
    """
    images = session.project.release.images or Images()
    definition = base_for(session.target, images.bases)
    if definition.standin:
        return _standin(definition, session, engine, say)
    pin, digest = pinned(definition, pins(session.workspace), session.target.arch)
    return _pulled(definition, pin, oci_digest(digest), session.target.arch, engine, say)


def _pulled(  # noqa: PLR0917 - what a pull is of
    definition: BaseDefinition,
    pin: PinnedBase,
    digest: OciDigest,
    arch: str,
    engine: Engine,
    say: Callable[[str], None],
) -> BaseImage:
    name, _ = split_reference(pin.reference)
    reference = f"{name}@{digest}"
    say(f"base {reference}")
    image = engine.pull(reference, platform_of(arch), digest)
    size = int(engine.inspect(image).get("Size") or 0)
    return BaseImage(definition, reference, pin.reference, digest, definition.python, size)


def _standin(definition: BaseDefinition, session: Session, engine: Engine, say: Callable[[str], None]) -> BaseImage:
    """Make the stand-in's base unless the same was made before, and have the engine take it."""
    work = session.workspace.work / "image-base" / session.target.arch / definition.name
    work.mkdir(parents=True, exist_ok=True)
    debian = _debian(definition, session, say) if definition.debian else None
    parts = [_FORMAT, session.target.arch, debian.digest if debian else session.base.digest, *definition.packages]
    parts += program_parts(debian, definition.later, session) if debian else ()
    home = work / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    with locked(work / "image-base.lock"):
        if not (home / _FACTS).exists():
            for old in work.glob(f"*/{_FACTS}"):
                shutil.rmtree(old.parent)
            say(f"base {definition.reference}: {definition.title}")
            _unpack(debian, definition, session, home) if debian else _make(definition, session, home)
    told = json.loads((home / _FACTS).read_text())
    layer = Layer("base", home / _TAR, Sha256(told["sha256"]), told["size"])
    labels = {"io.elpack.standin": definition.title, "io.elpack.base": layer.sha256}
    platform, reference = platform_of(session.target.arch), engine_name(definition, session.target.arch)
    if not (engine.has(reference) and _label(engine, reference) == layer.sha256):
        load_layers(engine, (layer.tar,), reference, platform, told["when"], labels)
    digest = layered((layer,), reference, platform, told["when"], labels).digest
    return BaseImage(definition, reference, definition.reference, digest, definition.python, layer.size)


def _label(engine: Engine, reference: str) -> str:
    return str((engine.inspect(reference).get("Labels") or {}).get("io.elpack.base", ""))


def _debian(definition: BaseDefinition, session: Session, say: Callable[[str], None]) -> DebianRoot:
    return debian_root(definition.debian, definition.packages, session.target, session.workspace, session.runner, say)


def _unpack(root: DebianRoot, definition: BaseDefinition, session: Session, home: Path) -> None:
    """Write what an image gets of a root of Debian's as one tar. Its time is that of its newest file."""
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    own, place = program(root, definition.later, session), definition.python.lstrip("/")
    found = image_members(root, session.target.arch)
    if own is not None:
        found = (replace(one, source=None, content=own) if one.path == place else one for one in found)
    layer = write_layer(OS, found, partial)
    layer.tar.rename(partial / _TAR)
    write_text(partial / _FACTS, json.dumps({"sha256": layer.sha256, "size": layer.size, "when": root.when}))
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def _make(definition: BaseDefinition, session: Session, home: Path) -> None:
    """Let dnf install the packages, and write the root as one tar. Its time is that of its newest file."""
    target, partial = session.target, home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    root = partial / "root"
    dnf = Dnf(session.base.repositories, target.arch, str(target.el), home.parent / "dnf", InstallError, session.runner)
    log = session.output / "logs" / "images" / "base.log"
    log.unlink(missing_ok=True)
    dnf.install(root, definition.packages, log, f"the base image {definition.name}")
    packages = export_database(root, partial, session.runner)
    owned = owned_paths(root, packages, {})
    when = max(owner.time for owner in owned.values())
    found = {one.path: one for one in members(root, owned, when)}
    every = [one.nvra for one in packages]
    added = database(packages, when, every, partial, session.runner)
    found |= {one.path: one for one in added if one.path not in owned}
    layer = write_layer(OS, found.values(), partial)
    layer.tar.rename(partial / _TAR)
    shutil.rmtree(root)
    write_text(partial / _FACTS, json.dumps({"sha256": layer.sha256, "size": layer.size, "when": when}))
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)

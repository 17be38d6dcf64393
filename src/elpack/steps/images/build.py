"""Makes the images of a release out of its lock and its signed repository, and hands them over."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.engine import engine
from elpack.errors import ImageError
from elpack.images.containerfile import containerfile
from elpack.images.model import Flavour, Mode
from elpack.listed import IMAGES
from elpack.manifest import read_manifest
from elpack.steps.describe import signed_provenance
from elpack.steps.images.archive import Archive
from elpack.steps.images.files import refuse_layout
from elpack.steps.images.handover import add_images
from elpack.steps.images.image_keys import handed_key
from elpack.steps.images.keys import image_key, made_before, remember
from elpack.steps.images.make import Order, make, order_name
from elpack.steps.images.pypy import pypy_session, with_root
from elpack.steps.images.recipe import base_definition, committed_base, flavours_of, images_of, recipe_of
from elpack.steps.images.subjects import SUFFIX
from elpack.steps.images.uv_inputs import made_here
from elpack.steps.images.wheels import is_direct
from elpack.steps.sign import RememberingSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.engine import Engine
    from elpack.images.oci import OciDigest
    from elpack.plan.model import NodeId
    from elpack.session import Session


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that was handed over.

    archive: the OCI archive, ``images/<application>-<tag>.oci.tar`` below the results; beside it lie its bill of
    materials (``.cdx.json``) and its provenance (``.intoto.json``, signed ``.dsse.json``). index: what the tag leads
    to; manifest: the image of the target's platform. size: bytes of the archive. cached: it had been made before.
    """

    flavour: Flavour
    mode: Mode
    tag: str
    archive: Path
    index: OciDigest
    manifest: OciDigest
    platform: str
    size: int
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class _Made:
    order: Order
    files: list[Path]
    seconds: float
    cached: bool


def build_images(
    session: Session,
    flavours: Sequence[Flavour],
    mode: Mode | None,
    say: Callable[[str], None],
    *,
    repository: Callable[[], Repository],
) -> tuple[BuiltImage, ...]:
    """Make images and put them into the session's folder of results; empty and None: what the release says.

    The pipeline went up to its step `repository`; `repository` gives what it made, signed. An image whose inputs did
    not change is not made again. Raises `ImageError`, `EngineError`, `RegistryError` for a base that cannot be had,
    and what layers raise.
    """
    refuse_layout(session)
    orders = _orders(session, flavours, mode or images_of(session).mode, repository, say)
    made = _all_made(orders, say)
    files = {path.name: path for one in made for path in one.files}
    with session.store as store:
        seal = None
        if session.signer:
            seal = RememberingSigner(session.signer, store, session.workspace.work / "signing")
            for path in [path for path in files.values() if path.name.endswith(".intoto.json")]:
                envelope = signed_provenance(path, seal, session.signer.key.fingerprint)
                files[envelope.name] = envelope
        if key := handed_key(session.workspace, session.project.release):
            files[key.name] = key
        add_images(session.workspace.dist, session.output, files, seal)
    again = sum(not one.cached for one in made)
    say(f"{again} made, {len(made) - again} had been made before" if again else f"nothing to do: all {len(made)} there")
    return tuple(_told(one, session.output / IMAGES) for one in made)


def build_local(session: Session, say: Callable[[str], None]) -> BuiltImage:
    """Make the image of flavour `uv` for who works on the application; it stays in the work folder, and is not signed.

    It is the very image that `build_images` makes of the same sources in mode `host`. The session has a base, and
    results of `wanted_of` at least. Raises what `build_images` raises.
    """
    recipe = recipe_of(session, base_definition(session).python)
    folder = session.workspace.local_images / f"{session.target.name}-{session.target.arch}"
    order = Order(session, recipe, Flavour.UV, Mode.HOST, folder, _no_repository)
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"*{SUFFIX}"):
        path.unlink()
    with engine(session.workspace, session.runner) as podman:
        for notice in podman.notices:
            session.screen.notice(notice)
        files = make(order, podman, say)
        podman.prune()
    say("for this machine, not handed over")
    return _told(_Made(order, files, time.monotonic() - start, cached=False), folder)


def wanted_of(session: Session) -> list[NodeId]:
    """Return the packages of whose RPMs flavour `uv` takes something; check that there can be such an image first."""
    refuse_layout(session)
    images_of(session)
    return [package.node for package in made_here(session).values() if not is_direct(package, session)]


def _no_repository() -> Repository:
    raise AssertionError("flavour uv takes nothing from a repository")


def _orders(
    session: Session,
    flavours: Sequence[Flavour],
    mode: Mode,
    repository: Callable[[], Repository],
    say: Callable[[str], None],
) -> list[Order]:
    home = session.workspace.work / "images" / "made" / f"{session.target.name}-{session.target.arch}"
    orders = []
    for flavour in flavours_of(session, flavours):
        side = with_root(pypy_session(session), say) if flavour is Flavour.PYPY else session
        recipe = recipe_of(side, base_definition(side).python)
        orders.append(Order(side, recipe, flavour, mode, home / order_name(flavour, mode), repository))
    return orders


def _all_made(orders: Sequence[Order], say: Callable[[str], None]) -> list[_Made]:
    """Return all images, those that an earlier run made as they are. Without any to make no engine is needed."""
    session = orders[0].session
    listed = read_manifest(session.output, ImageError)
    keys = [image_key(one.session, _committed(one), listed) for one in orders]
    found = [made_before(one.folder, key) for one, key in zip(orders, keys, strict=True)]
    if all(found):
        return [_Made(one, *before, cached=True) for one, before in zip(orders, found, strict=True) if before]
    made = []
    with engine(session.workspace, session.runner) as podman:
        for notice in podman.notices:
            session.screen.notice(notice)
        for one, key, before in zip(orders, keys, found, strict=True):
            made.append(_Made(one, *before, cached=True) if before else _make(one, key, podman, say))
        podman.prune()
    return made


def _committed(order: Order) -> str:
    return containerfile(order.recipe, order.flavour, order.mode, committed_base(order.session))


def _make(order: Order, key: str, podman: Engine, say: Callable[[str], None]) -> _Made:
    start = time.monotonic()
    shutil.rmtree(order.folder, ignore_errors=True)
    order.folder.mkdir(parents=True)
    files = make(order, podman, say)
    seconds = time.monotonic() - start
    remember(order.folder, key, files, seconds)
    return _Made(order, files, seconds, cached=False)


def _told(made: _Made, folder: Path) -> BuiltImage:
    order = made.order
    path = folder / f"{order.stem}{SUFFIX}"
    archive = Archive(path)
    image = archive.images[0].descriptor
    return BuiltImage(
        flavour=order.flavour,
        mode=order.mode,
        tag=order.recipe.about.tag(order.flavour),
        archive=path,
        index=archive.digest,
        manifest=image.digest,
        platform=str(image.platform),
        size=path.stat().st_size,
        seconds=made.seconds,
        cached=made.cached,
    )

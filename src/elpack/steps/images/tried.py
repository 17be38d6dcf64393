"""Tries the images in a folder of results, or one that lies in a registry, as their user will run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.builders.emulation import is_emulated, patience
from elpack.engine import engine
from elpack.errors import ImageError, Problem
from elpack.images.annotations import about_images, platform_of
from elpack.images.model import Flavour
from elpack.images.smoke import SLOWER, on_pypy
from elpack.listed import IMAGES
from elpack.manifest import digest_of, read_manifest
from elpack.steps.images.archive import Archive
from elpack.steps.images.foreign import need_to_run
from elpack.steps.images.pypy import pypy_session
from elpack.steps.images.recipe import flavours_of, images_of
from elpack.steps.images.smoke import Subject, smoke_image
from elpack.steps.images.subjects import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from elpack.engine import Engine
    from elpack.images.oci import OciDigest
    from elpack.session import Session
    from elpack.steps.images.smoke import ImageSmokeReport

_FIX = "elpack image build"


def try_images(
    session: Session, flavours: Sequence[Flavour], reference: str, say: Callable[[str], None]
) -> tuple[ImageSmokeReport, ...]:
    """Try the images of a planned session; without flavours those of the release, with a reference that one instead.

    The caller holds the workspace. Raises `SmokeError` with what failed in the first that does not pass, `ImageError`
    for one that is not there or not as the manifest lists it, `EngineError`, `RegistryError`.
    """
    images_of(session)
    need_to_run(session.target.arch)
    found = [] if reference else [(one, archive_of(session, one)) for one in flavours_of(session, flavours)]
    sides = {one: pypy_session(session) if one is Flavour.PYPY else session for one, _ in found}
    with engine(session.workspace, session.runner) as podman:
        for notice in podman.notices:
            session.screen.notice(notice)
        if reference:
            image = podman.pull(reference, platform_of(session.target.arch))
            return (_tried(session, podman, "image", image, (), say),)
        return tuple(_of_archive(sides[flavour], podman, flavour, archive, say) for flavour, archive in found)


def archive_of(session: Session, flavour: Flavour) -> Archive:
    """Return the archive of a flavour in the results. Raises `ImageError` when it is not the one of the manifest."""
    name = f"{about_images(session.project.release, session.plan).stem(flavour)}{SUFFIX}"
    listed = {file.path: file for file in read_manifest(session.output, ImageError).files}
    place, path = f"{IMAGES}/{name}", session.output / IMAGES / name
    if place not in listed or not path.is_file():
        raise ImageError(Problem(f"there is no image of flavour {flavour}", str(path), fix=_FIX))
    if digest_of(path) != listed[place].content.sha256:
        raise ImageError(Problem("it is not the image that the manifest lists", str(path), fix=_FIX))
    return Archive(path)


def _of_archive(
    session: Session, podman: Engine, flavour: Flavour, archive: Archive, say: Callable[[str], None]
) -> ImageSmokeReport:
    """Try one from an archive, which is in the engine's storage only as long as that takes, unless it was before."""
    image = archive.images[0]
    config, manifest = image.blobs[0].digest, image.descriptor.digest
    there = podman.has(config.removeprefix("sha256:"))
    loaded = podman.load(archive.path, archive.alone(image) if is_emulated(session.target.arch) else None)
    try:
        return _tried(session, podman, f"image-{flavour}", loaded, (config, manifest, archive.digest), say)
    finally:
        if not there:
            podman.remove(loaded)


def _tried(  # noqa: PLR0917 - the caller's own values, once
    session: Session,
    podman: Engine,
    name: str,
    image: str,
    digests: tuple[OciDigest, ...],
    say: Callable[[str], None],
) -> ImageSmokeReport:
    images, smoke, plan = images_of(session), session.project.release.smoke, session.plan
    with_pypy = bool(session.target.pypy)
    subject = Subject(
        image,
        images,
        on_pypy(smoke, images.pypy) if with_pypy else smoke,
        plan.places(),
        plan.versions(),
        session.workspace.home,
        digests,
        patience=patience(session.target.arch) * (SLOWER if with_pypy else 1),
        emulated=is_emulated(session.target.arch),
    )
    return smoke_image(
        podman,
        subject,
        logs=session.output / "logs" / name,
        owner=str(session.workspace.work),
        progress=say,
        notice=session.screen.notice,
    )

"""Writes what runs an image: units for podman's Quadlet, or a manifest for Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.errors import ImageError, Problem
from elpack.images.annotations import about_images, health_command
from elpack.images.kubernetes import kubernetes
from elpack.images.quadlet import quadlet
from elpack.images.running import Run, run_name
from elpack.steps.images.joint import pushed_digest
from elpack.steps.images.recipe import images_of
from elpack.steps.images.tried import archive_of

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.images.model import Flavour
    from elpack.session import Session


def write_units(
    session: Session, folder: Path, *, flavour: Flavour, reference: str = "", for_kubernetes: bool = False
) -> tuple[Path, ...]:
    """Write the files that run a planned session's image into a folder, and return them.

    reference: of the image, with its digest; else where the release pushes, with the digest of what is in the results.
    Raises `ImageError` when neither is known, or when a text cannot stand in a unit.
    """
    release, images = session.project.release, images_of(session)
    about = about_images(release, session.plan)
    mounts = {place: (session.workspace.home / source).read_text() for place, source in images.mounts.items()}
    try:
        run = Run(
            name=run_name(about.name),
            title=release.service.description if release.service else about.title,
            reference=reference or _reference(session, flavour),
            version=f"{about.name} {about.tag(flavour)}",
            images=images,
            health=health_command(images, session.plan.places()),
            documentation=about.documentation,
            mounts=mounts,
        )
    except ValueError as error:
        raise ImageError(Problem(str(error), fix="elpack image unit --image HOST/NAME@sha256:...")) from error
    texts = {f"{run.name}.yaml": kubernetes(run)} if for_kubernetes else quadlet(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def _reference(session: Session, flavour: Flavour) -> str:
    repository = images_of(session).repository
    if not repository:
        what = "the release does not say where its images are pushed"
        fix = "add images.repository, or name the image: --image HOST/NAME@sha256:..."
        raise ImageError(Problem(what, "elpack.toml", fix=fix))
    return f"{repository}@{pushed_digest(session, archive_of(session, flavour))}"

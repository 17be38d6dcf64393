"""What the Containerfiles of a planned release are made of: the release, the plan, and the pinned bases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.images.annotations import about_images
from elpack.images.bases import base_for, engine_name, split_reference
from elpack.images.containerfile import CONTEXT, From, Recipe
from elpack.steps.images.pins import pins
from elpack.steps.images.uv_tree import stage_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.images.bases import BaseDefinition
    from elpack.images.model import Flavour, Images
    from elpack.session import Session

_MADE = "Made of the stand-in's packages by `elpack image build`: nothing of it is EL9's."
_LOOSE = "NOT PINNED: nothing is built upon a tag. `elpack image pin {name}` finds the digest."


def images_of(session: Session) -> Images:
    """Return what the release says of its images. Raises `ImageError` where it says nothing."""
    images = session.project.release.images
    if images is None:
        fix = "add it; docs/reference/release-file.md describes it"
        raise ImageError(Problem("the release makes no images: it has no table [images]", "elpack.toml", fix=fix))
    return images


def flavours_of(session: Session, asked: Sequence[Flavour] = ()) -> tuple[Flavour, ...]:
    """Return the flavours that are asked for, else those that the release says, each once."""
    return tuple(dict.fromkeys(asked or images_of(session).flavours))


def recipe_of(session: Session, python: str) -> Recipe:
    """Return what the Containerfiles of a planned session have in common; python: the base's interpreter."""
    release, plan = session.project.release, session.plan
    about = about_images(release, plan)
    exposed = release.application.expose
    return Recipe(
        images=images_of(session),
        about=about,
        target=session.target.name,
        entry=exposed[0] if exposed else about.name,
        prefix=release.prefix,
        places=plan.places(),
        stage=stage_commands(session, python=python, context=CONTEXT),
    )


def committed_base(session: Session) -> From:
    """Return the base of flavour `uv` as far as the project's own files tell it, for Containerfiles that are committed.

    Without a digest for one that is made here, or that nobody has pinned.
    """
    definition = base_definition(session)
    if definition.standin:
        return From(engine_name(definition, session.target.arch), definition.reference, note=_MADE)
    pin = pins(session.workspace).get(definition.name)
    reference = pin.reference if pin else definition.reference
    digest = pin.platforms.get(session.target.arch, "") if pin else ""
    if not digest:
        return From(reference, reference, note=_LOOSE.format(name=definition.name))
    return From(f"{split_reference(reference)[0]}@{digest}", reference, digest)


def base_definition(session: Session) -> BaseDefinition:
    """Return which base a session's images of flavour `uv` start from."""
    return base_for(session.target, images_of(session).bases)

"""Writes the Containerfiles of a release, or compares them with those that are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.errors import ImageError, PlanError, Problem
from elpack.images.containerfile import containerfile, file_name
from elpack.images.model import Flavour, Mode
from elpack.model import Layout
from elpack.steps.committed import committed, differences, make_folder
from elpack.steps.images.pypy import pypy_session
from elpack.steps.images.recipe import base_definition, committed_base, images_of, recipe_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from elpack.session import Session

FOLDER = "containers"
_SUFFIX = ".Containerfile"


def write_containerfiles(session: Session, *, compare: bool) -> int:
    """Write a planned session's Containerfiles into containers/<target>/<architecture>/; return how many there are.

    With `compare` nothing is written. Raises `PlanError` with each committed file that differs, is missing, or is not
    generated any more.
    """
    refuse_layout(session)
    folder = folder_of(session)
    texts = texts_of(session)
    old = {path.name: committed(path) for path in folder.glob(f"*{_SUFFIX}")}
    if compare:
        problems = tuple(differences(old, texts, folder, "the committed Containerfile", "elpack image files"))
        if problems:
            raise PlanError(*problems)
        return len(texts)
    make_folder(folder)
    for name in old.keys() - texts.keys():
        (folder / name).unlink()
    for name, text in texts.items():
        write_text(folder / name, text)
    return len(texts)


def folder_of(session: Session) -> Path:
    """Return where the Containerfiles of a session's target are committed."""
    return session.workspace.home / FOLDER / session.target.name / session.target.arch


def texts_of(session: Session) -> dict[str, str]:
    """Return all Containerfiles of a planned session by file name, with what is known before anything is built."""
    texts = _texts(session, ((Flavour.UV, Mode.HOST), (Flavour.UV, Mode.CONTAINER), (Flavour.RPM, Mode.HOST)))
    if Flavour.PYPY not in images_of(session).flavours:
        return texts
    return texts | _texts(pypy_session(session), ((Flavour.PYPY, Mode.HOST), (Flavour.PYPY, Mode.CONTAINER)))


def _texts(session: Session, made: Iterable[tuple[Flavour, Mode]]) -> dict[str, str]:
    recipe, base = recipe_of(session, base_definition(session).python), committed_base(session)
    return {file_name(flavour, mode): containerfile(recipe, flavour, mode, base) for flavour, mode in made}


def refuse_layout(session: Session) -> None:
    """Raise `ImageError` for a layout that has no tree of its own."""
    if session.layout is Layout.SYSTEM:
        fix = "leave --layout out, or release.layout stack or bundle"
        raise ImageError(Problem("images are made of layout stack or bundle", "elpack.toml: release.layout", fix=fix))

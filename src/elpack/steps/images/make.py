"""Makes one image: its layers, the engine's build, a look at the result, and the documents beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack import __version__
from elpack.atomic import write_text
from elpack.errors import ImageError
from elpack.images.annotations import oci_annotations
from elpack.images.container import misfits
from elpack.images.containerfile import CONTEXT, From, containerfile, file_name
from elpack.images.content import builder_paths
from elpack.images.model import Flavour, Mode
from elpack.provenance import Artefact, Material, statement
from elpack.sbom import Below, BuiltRpm, image_sbom
from elpack.steps.describe import describe
from elpack.steps.images.archive import Archive
from elpack.steps.images.base import base_image
from elpack.steps.images.looks import Look, look_at
from elpack.steps.images.rpm_root import rpm_layers
from elpack.steps.images.subjects import SUFFIX, subjects_of
from elpack.steps.images.uv_tree import uv_layers, uv_stage
from elpack.steps.results import published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.engine import Engine
    from elpack.images.containerfile import Recipe
    from elpack.model import Target
    from elpack.session import Session


@dataclass(frozen=True, slots=True)
class Order:
    """One image that is to be made. folder: where its files go; repository: gives ours, signed."""

    session: Session
    recipe: Recipe
    flavour: Flavour
    mode: Mode
    folder: Path
    repository: Callable[[], Repository]

    @property
    def stem(self) -> str:
        """How the names of its files begin."""
        return self.recipe.about.stem(self.flavour)

    @property
    def name(self) -> str:
        """How it is told from others of the same target."""
        return order_name(self.flavour, self.mode)

    @property
    def log(self) -> Path:
        """The log of the engine's build."""
        return self.session.output / "logs" / "images" / f"{self.name}.log"


def order_name(flavour: Flavour, mode: Mode) -> str:
    """Return how an image is told from others of the same target: ``uv-host``, ``uv-container``, ``rpm``."""
    return file_name(flavour, mode).partition(".")[0]


def make(order: Order, engine: Engine, say: Callable[[str], None]) -> list[Path]:
    """Make an image and what describes it, as files in the order's folder, and return these.

    Raises `ImageError` with all that is wrong with it, and what layers, base and engine raise.
    """
    context = order.folder / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    try:
        image, base, layers = _built(order, engine, context, say)
    finally:
        shutil.rmtree(context, ignore_errors=True)
    if wrong := tuple(misfits(engine.inspect(image)["Config"], order.recipe.images)):
        raise ImageError(*wrong)
    say(f"{order.name}: written as an archive")
    path = order.folder / f"{order.stem}{SUFFIX}"
    below = {"base": base.name, "digest": base.digest} if base else {}
    engine.save(image, path, oci_annotations(order.recipe.about, **below))
    engine.remove(image)
    return [path, *_described(order, path, base, layers)]


def _built(order: Order, engine: Engine, context: Path, say: Callable[[str], None]) -> tuple[str, From | None, int]:
    """Return the image's id, what it starts from, and how many layers are ours."""

    def told(text: str) -> None:
        say(f"{order.name}: {text}")

    if order.flavour is Flavour.RPM:
        base, layers = None, 3
        _put_rpms(order, context, told)
    else:
        found = base_image(order.session, engine, told)
        base, layers = From(found.reference, found.name, found.digest), 2
        if order.mode is Mode.HOST:
            uv_layers(order.session, context, told, python=found.python)
        else:
            uv_stage(order.session, context, told, python=found.python, context=CONTEXT)
    text = containerfile(order.recipe, order.flavour, order.mode, base)
    return _build(order, engine, context, text, told), base, layers


def _put_rpms(order: Order, context: Path, say: Callable[[str], None]) -> None:
    session = order.session
    rpm_layers(
        session.project.release,
        session.plan,
        session.base.repositories,
        order.repository(),
        context,
        workspace=session.workspace,
        logs=order.log.parent,
        runner=session.runner,
        progress=say,
    )


def _build(order: Order, engine: Engine, context: Path, text: str, say: Callable[[str], None]) -> str:
    path = order.folder / "Containerfile"
    write_text(path, text)
    about = order.recipe.about
    return engine.build(context, path, platform=about.platform, timestamp=about.timestamp, progress=say, log=order.log)


def _described(order: Order, path: Path, base: From | None, layers: int) -> list[Path]:
    """Look at an archive, and write its bill of materials and its provenance beside it; return these."""
    session = order.session
    plan, inputs = session.plan, session.gathered.inputs
    archive = Archive(path)
    packages = look_at(archive, archive.images[0], _look(session, layers, base))
    rpms = _rpms(session) if order.flavour is Flavour.RPM else ()
    below = Below(base.name, base.digest) if base else None
    sbom = order.folder / f"{order.stem}.cdx.json"
    write_text(sbom, image_sbom(plan, inputs, order.flavour, rpms=rpms, packages=packages, below=below))
    known = describe(session)
    materials = [*known.materials, *([_material(base)] if base else [])]
    subjects = subjects_of(path, order.folder)
    subjects[f"images/{path.name}"] = subjects.pop(path.name)
    text = statement(
        plan,
        [Artefact(name, sha256) for name, sha256 in subjects.items()],
        materials,
        known.release_file,
        version=__version__,
        image={"flavour": str(order.flavour), "mode": str(order.mode), **_interpreter(plan.target)},
    )
    stated = order.folder / f"{order.stem}.intoto.json"
    write_text(stated, text)
    return [sbom, stated]


def _interpreter(target: Target) -> dict[str, str]:
    return {"interpreter": target.interpreter_name} if target.pypy else {}


def _material(base: From) -> Material:
    return Material(base.name, base.digest.removeprefix("sha256:"))


def _rpms(session: Session) -> tuple[BuiltRpm, ...]:
    made = {file.path: (node, file) for node, one in session.results.items() for file in one.entry.files}
    return tuple(
        BuiltRpm(path.name, made[path][0], made[path][1].sha256) for path in published(session.plan, session.results)
    )


def _look(session: Session, layers: int, base: From | None) -> Look:
    work = session.workspace.work
    return Look(
        own=frozenset(session.plan.versions()),
        builder=builder_paths(str(work), str(session.workspace.dist)),
        layers=layers,
        prefix=session.project.release.prefix,
        seen=work / "images" / "seen.json",
        runner=session.runner,
        pypy=base.name if base and session.target.pypy else "",
    )

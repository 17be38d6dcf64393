"""Writes cibuildwheel's configurations of a release, or compares them with those that are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.errors import PlanError
from elpack.images.root import seconds
from elpack.steps.committed import committed, differences, make_folder
from elpack.wheels.cibuildwheel import configuration, file_name
from elpack.wheels.model import Wheels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from elpack.config import Release
    from elpack.workspace import Workspace

FOLDER = "wheels"


def write_configurations(
    release: Release, packages: Iterable[NormalizedName], workspace: Workspace, *, compare: bool
) -> int:
    """Write wheels/<package>/<platform>.toml of the packages with machine code; return how many there are.

    With `compare` nothing is written. Raises `PlanError` with each committed file that differs, is missing, or is not
    generated any more.
    """
    folder = workspace.home / FOLDER
    texts = texts_of(release, packages)
    old = {f"{path.parent.name}/{path.name}": committed(path) for path in folder.glob("*/*.toml")}
    if compare:
        found = differences(old, texts, folder, "the committed configuration of cibuildwheel", "elpack wheel files")
        if problems := tuple(found):
            raise PlanError(*problems)
        return len(texts)
    for name in old.keys() - texts.keys():
        (folder / name).unlink()
    for name, text in texts.items():
        make_folder((folder / name).parent)
        write_text(folder / name, text)
    return len(texts)


def texts_of(release: Release, packages: Iterable[NormalizedName]) -> dict[str, str]:
    """Return all configurations by their path below wheels/."""
    wheels, epoch = release.wheels or Wheels(), seconds(release.date)
    return {
        f"{package}/{file_name(platform)}": configuration(wheels, package, platform, epoch)
        for package in packages
        for platform in wheels.platforms
    }

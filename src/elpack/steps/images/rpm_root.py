"""Flavour `rpm`: a root that dnf fills from the signed repository, split into layers by who made the packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.config import Release
    from elpack.images.model import Layer
    from elpack.plan.model import Plan
    from elpack.run import Runner
    from elpack.workspace import Workspace


def rpm_layers(
    release: Release,
    plan: Plan,
    base: Iterable[Repository],
    repository: Repository,
    into: Path,
    *,
    workspace: Workspace,
    logs: Path,
    runner: Runner,
    progress: Callable[[str], None],
) -> tuple[Layer, ...]:
    """Return the layers ``os``, ``third-party`` and ``first-party`` of an image `FROM scratch`, as tars in `into`.

    base: the target's own repositories; repository: ours, signed, as `Handover.repository` gives it. The last layer
    holds the rpm database, the user of number `images.user`, and the folder for data, which belongs to it. The tars
    are to become layers as they are: with other times than theirs all bytecode would be stale.

    Raises `InstallError` when dnf refuses, `ImageError` for a root that no image may be made of.
    """
    raise NotImplementedError

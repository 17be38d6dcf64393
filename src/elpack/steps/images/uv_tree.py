"""The tree of flavour `uv`: what the application's own lock froze, unpacked by uv at its final path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.images.model import Layer
    from elpack.session import Session


@dataclass(frozen=True, slots=True)
class Stage:
    """What the first stage of a Containerfile works with, so that it gives the tree of mode `host`.

    context: the folder with all of it, to be the build's context. run: the commands of its RUN line, in order, each a
    line of POSIX shell; they need no network. prefix: the one folder that the last stage copies from it.
    overlay: the tar, beside the tree, with what the last stage needs besides: configuration, passwd and group, the
    volume's folder.
    """

    context: Path
    run: tuple[str, ...]
    prefix: str
    overlay: Layer


def uv_layers(session: Session, into: Path, say: Callable[[str], None] = lambda _: None) -> tuple[Layer, ...]:
    """Write the layers ``third-party`` and ``first-party`` as tars into a folder, and return them in that order.

    The session has a target, a plan of layout `stack` or `bundle`, results and a base: its steps up to `build` ran.
    The last layer holds, beside the application's own tree, the files of [[asset]], /etc/passwd and /etc/group with
    the images' user, and the volume's folder, which belongs to that user; all else belongs to root. A layer whose
    content is that of an earlier run is not made again.

    Raises `LockError` when the lock is not the project's, `HashMismatchError` when a file is not the one that the lock
    pins, `ImageError` when uv refuses or the tree is not what the lock selects.
    """
    raise NotImplementedError


def uv_stage(session: Session, into: Path, say: Callable[[str], None] = lambda _: None) -> Stage:
    """Fill a folder with what mode `container` needs; see `Stage`. Raises what `uv_layers` raises."""
    raise NotImplementedError

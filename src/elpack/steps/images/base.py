"""Provides the base image of flavour `uv`: pulled by its digest, or made of the stand-in's packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.engine import Engine
    from elpack.images.bases import BaseDefinition
    from elpack.images.oci import OciDigest
    from elpack.session import Session


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base that the engine has.

    reference: what `FROM` says, one name for one architecture. title and digest: what the annotations base.name and
    base.digest say; a stand-in's name says that it is one. python: path of its interpreter. size: bytes, uncompressed.
    """

    definition: BaseDefinition
    reference: str
    digest: OciDigest
    python: str
    size: int = 0


def base_image(session: Session, engine: Engine, say: Callable[[str], None]) -> BaseImage:
    """Return the base of the session's target, in the engine. Needs `session.base` (pipeline step `base`).

    Raises `ImageError` for a base that is missing, is not pinned, or does not fit the target; `EngineError` and
    `RegistryError` where it cannot be pulled.
    """
    raise NotImplementedError

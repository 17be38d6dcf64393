"""Builds an image by podman's API, and keeps what it says."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from elpack.engine.calls import events, streamed
from elpack.engine.context import CONTAINERFILE, parted, runs, sent
from elpack.engine.lately import stamp
from elpack.engine.layers import set_upon
from elpack.errors import DiskFullError, EngineError, ImageError, Problem, from_os, says_full
from elpack.images.oci import platform_of
from elpack.run import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from elpack.engine.engine import Engine

PARTS = "localhost/elpack/part"
"""The name of images that hold the first layers of others; their tags say of which."""
_ID = re.compile(r"[0-9a-f]{64}")
_UNUSED = "[Warning] one or more build args were not consumed"
_ISOLATED = {
    # 1 is buildah's NetworkDisabled. By its name, `none`, podman 4.3 builds in the host's network; so it does without
    # the second line, whatever the first says
    "networkmode": "1",
    "nsoptions": json.dumps([{"Name": "network", "Host": False, "Path": ""}]),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: see `Engine.build`."""

    context: Path
    containerfile: str
    platform: str
    timestamp: int
    progress: Callable[[str], None]
    log: Path


def build(engine: Engine, order: Order) -> str:
    """Build an image and return its id. Raises `ImageError`, `DiskFullError`, `EngineError`."""
    platform_of(order.platform)
    order.log.parent.mkdir(parents=True, exist_ok=True)
    with order.log.open("w", encoding="utf-8") as log:
        try:
            image = _parted(engine, order, log)
        except OSError as error:
            raise from_os(error, str(engine.layers)) or error from None
    engine.need_platform(image, order.platform)
    return image


def _parted(engine: Engine, order: Order, log: IO[str]) -> str:
    """Set tars upon the base as they are, then build the rest. An engine would give all in them one time.

    Bytecode hangs on times; and so a build takes only what changed, and gives the same with every podman.
    """
    parts = parted(order.containerfile)
    if parts is None:
        return _build(engine, order, log, order.containerfile)
    if parts.base != "scratch":
        engine.need_platform(parts.base, order.platform)
    image, tars = "", [order.context / name for name in parts.tars]
    before = set(engine.names())
    made = set_upon(engine, parts.base, tars, order.platform, order.timestamp, PARTS)
    for tar, image in zip(tars, made, strict=True):
        _say(order, log, f"{tar.name}: {'as before' if image in before else 'taken as it is'}")
        stamp(engine.layers, image).touch()
    return _build(engine, order, log, parts.second(image), parts.tars)


def _build(engine: Engine, order: Order, log: IO[str], text: str, without: Any = ()) -> str:
    parameters = _parameters(order, cached=not runs(text))
    stream = sent(text, order.context, without)
    last = ""
    try:
        with (
            closing(stream),  # type: ignore[type-var]
            streamed(engine.client, "POST", "/build", parameters, stream) as response,
        ):
            for line in _lines(response):
                _say(order, log, line)
                last = line or last
    except _FailedError as error:
        raise _failure(order, log, str(error)) from None
    except EngineError as error:
        raise _failure(order, log, error.problems[0].what) from error
    if not _ID.fullmatch(last):
        raise _failure(order, log, "podman names no image")
    return last


def _parameters(order: Order, *, cached: bool) -> Mapping[str, str]:
    return {
        "dockerfile": CONTAINERFILE,
        "platform": order.platform,
        "timestamp": str(order.timestamp),
        "outputformat": "application/vnd.oci.image.manifest.v1+json",
        "pullpolicy": "never",
        "httpproxy": "0",
        "layers": "1",
        "nocache": "0" if cached else "1",
        "rm": "1",
        "forcerm": "1",
        **_ISOLATED,
    }


class _FailedError(Exception):
    """podman says that the build failed."""


def _lines(response: Any) -> Iterator[str]:
    for event in events(response):
        if error := event.get("error"):
            raise _FailedError(str(error))
        for line in str(event.get("stream", "")).splitlines():
            if not line.startswith(_UNUSED):
                yield line.rstrip()


def _say(order: Order, log: IO[str], line: str) -> None:
    log.write(f"{line}\n")
    log.flush()
    order.progress(line)


def _failure(order: Order, log: IO[str], what: str) -> ImageError | DiskFullError:
    log.write(f"{what}\n")
    log.flush()
    said = tail(order.log, 20)
    if says_full(said):
        fix = "free some space; elpack clean removes all that elpack made"
        return DiskFullError(Problem(f"the image was not built\n{said}", str(order.log), fix=fix))
    return ImageError(Problem(f"the image was not built\n{said}", str(order.log)))

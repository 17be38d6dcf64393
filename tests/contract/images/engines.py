"""One engine for all tests of images, with storage of its own, and the smallest image that runs."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from elpack.engine import Engine
from elpack.engine import engine as start
from elpack.run import Command, run
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STAMP = 1_700_000_000
PLATFORM = "linux/amd64" if os.uname().machine == "x86_64" else "linux/arm64"
LOOK = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    char text[4096];
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "wait")) { for (;;) pause(); }
        FILE *file = fopen(words[i], "r");
        if (!file) { printf("no %s\n", words[i]); return 3; }
        fwrite(text, 1, fread(text, 1, sizeof text, file), stdout);
    }
    return 0;
}
"""
"""Prints files, fails when there is none of that name, and waits for ever when asked to."""


def workspace(folder: Path) -> Workspace:
    return Workspace(folder / "elpack.toml", folder / "work", folder / "dist")


def write_tar(path: Path, files: dict[str, bytes], mode: int = 0o755) -> Path:
    """Write a layer: paths and contents."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, STAMP - 1
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(scope="session")
def look(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> bytes:
    """Return a static program that prints files."""
    needs("cc")
    folder = tmp_path_factory.mktemp("look")
    (folder / "look.c").write_text(LOOK)
    run(Command(("cc", "-static", "-Os", "-s", "-o", "look", "look.c"), cwd=folder)).check()
    return (folder / "look").read_bytes()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Iterator[Engine]:
    """Return an engine that all tests share; images of a test have names of its own."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs root")
    needs("podman")
    place = workspace(tmp_path_factory.mktemp("engine"))
    with start(place, run) as one:
        yield one


@pytest.fixture
def context(tmp_path: Path, look: bytes) -> Path:
    """Return a build context with two layers and the Containerfile of them, upon nothing."""
    folder = tmp_path / "context"
    folder.mkdir()
    write_tar(folder / "third-party.tar", {"look": look, "opt/lib": b"lib"})
    write_tar(folder / "first-party.tar", {"opt/app": b"app"})
    (folder / "Containerfile").write_text(
        "# generated\nFROM scratch\nADD third-party.tar /\nADD first-party.tar /\n"
        'LABEL org.opencontainers.image.title="shop" other="1"\n'
        'ENTRYPOINT ["/look"]\nCMD ["/opt/app"]\nUSER 1000:1000\n'
    )
    return folder


@pytest.fixture
def build(engine: Engine, tmp_path: Path) -> Callable[..., str]:
    """Return a function that builds a context's Containerfile and returns the image's id."""

    def make(context: Path, *, on: Engine = engine, platform: str = PLATFORM, lines: list[str] | None = None) -> str:
        said = [] if lines is None else lines
        return on.build(
            context,
            context / "Containerfile",
            platform=platform,
            timestamp=STAMP,
            progress=said.append,
            log=tmp_path / "build.log",
        )

    return make

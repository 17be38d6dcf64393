"""Images for two architectures: made on one machine, put together, and the right one everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.images.engines import write_tar
from tests.contract.images.programs import program

from elpack.builders.emulation import emulation
from elpack.errors import ImageError
from elpack.steps.images.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.engine import Engine

pytestmark = pytest.mark.root

ARCHITECTURES = ("amd64", "arm64")


@pytest.fixture
def make(build: Callable[..., str], engine: Engine, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes an image of one architecture out of a program of another, or of the same."""

    def made(architecture: str, of: str = "") -> Path:
        context = tmp_path / f"context-{architecture}-{of}"
        context.mkdir()
        write_tar(context / "app.tar", {"say": program(of or architecture)})
        (context / "Containerfile").write_text('FROM scratch\nADD app.tar /\nENTRYPOINT ["/say"]\nUSER 1000:1000\n')
        image = build(context, platform=f"linux/{architecture}")
        path = tmp_path / f"{architecture}-{of}.oci.tar"
        try:
            engine.save(image, path)
        finally:
            engine.remove(image)
        return path

    return made


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_image_of_any_architecture_is_made_and_taken_back(
    make: Callable[..., Path], engine: Engine, architecture: str
) -> None:
    archive = Archive(make(architecture))
    (image,) = archive.images
    loaded = engine.load(archive.path, archive.alone(image))
    try:
        assert str(engine.platform(loaded)) == f"linux/{architecture}"
        assert f"sha256:{loaded}" == image.blobs[0].digest
        assert engine.inspect(loaded)["Digest"] == image.descriptor.digest
        found = emulation({"amd64": "x86_64", "arm64": "aarch64"}[architecture])
        if found.works:
            said = engine.client.containers.run(loaded, remove=True, log_config={"Type": "json-file"})
            assert said == f"{architecture}\n".encode()
    finally:
        engine.remove(loaded)


def test_programs_of_another_architecture_are_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="it says linux/arm64, but most programs in a layer are for ELF machine 62"):
        make("arm64", of="amd64")
    assert not list(tmp_path.glob("*.oci.tar"))

"""Containerfiles given to podman: every value arrives as it is, and OCI images have no health check but the label's."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.engines import PLATFORM, STAMP, write_tar

from elpack.images.annotations import HEALTH, About
from elpack.images.containerfile import FIRST_PARTY, OS, THIRD_PARTY, Recipe, containerfile
from elpack.images.model import Flavour, Images, Mode

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.engine import Engine

pytestmark = pytest.mark.root

HOSTILE = (
    "$HOME ${PATH} $(id) `id`",
    'quotes " and \' and \\" and \\\\',
    "ends with a backslash \\",
    "# a comment, ADD x / <<EOF && RUN id",
    "emoji \U0001f600 é, tabs are refused elsewhere",
)


def about(arch: str) -> About:
    return About(
        *("app", "1.0-1.el9", "app", " | ".join(HOSTILE), "", "", "MIT", "Shop", "sha256:" + "0" * 64),
        created=dt.date(2026, 11, 1),
        standin=False,
        arch=arch,
    )


@pytest.fixture
def folder(tmp_path: Path, look: bytes) -> Path:
    """Return a context with the three layers of flavour rpm."""
    for name in (OS, THIRD_PARTY, FIRST_PARTY):
        write_tar(tmp_path / f"{name}.tar", {f"bin/{name}": look})
    return tmp_path


def built(engine: Engine, folder: Path, text: str) -> dict[str, object]:
    path = folder / "Containerfile"
    path.write_text(text)
    log = folder.parent / f"{folder.name}.log"
    image = engine.build(folder, path, platform=PLATFORM, timestamp=STAMP, progress=lambda _: None, log=log)
    found = dict(engine.inspect(image)["Config"])
    engine.remove(image)
    return found


def test_values_arrive_as_they_are(engine: Engine, folder: Path) -> None:
    images = Images(
        command=HOSTILE,
        health=HOSTILE,
        ports=(80,),
        stop_signal="SIGINT",
        environment={f"V{number}": text for number, text in enumerate(HOSTILE)},
    )
    recipe = Recipe(
        images,
        about("x86_64" if PLATFORM.endswith("amd64") else "aarch64"),
        "el9",
        "app",
        "/opt/shop",
        {"python": "p", "prefix": "q"},
    )
    config = built(engine, folder, containerfile(recipe, Flavour.RPM, Mode.HOST))
    assert config["Cmd"] == list(HOSTILE)
    labels = config["Labels"]
    assert isinstance(labels, dict)
    assert json.loads(labels[HEALTH]) == list(HOSTILE)
    assert labels["org.opencontainers.image.description"] == " | ".join(HOSTILE)
    environment = config["Env"]
    assert isinstance(environment, list)
    assert {f"V{number}={text}" for number, text in enumerate(HOSTILE)} <= set(environment)
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("1000:1000", "/data", "SIGINT")
    assert config["Volumes"] == {"/data": {}}


def test_a_health_check_does_not_survive_in_an_oci_image(engine: Engine, folder: Path) -> None:
    text = f'FROM scratch\nADD {OS}.tar /\nHEALTHCHECK CMD ["/bin/os"]\nUSER 7:7\n'
    config = built(engine, folder, text)
    assert config["User"] == "7:7"
    assert not config.get("Healthcheck")

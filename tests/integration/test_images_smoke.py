"""The images of the real release, run as users run them, and the texts by which others run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.wamp import OUTPUT, elpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.root]

STANDIN = ("--target", "el9-standin")
STEM = "crossbar-26.10.1-1.el9s"
STEPS = [
    *("image", "version", "native code", "contracts", "health check fails", "start", "client", "privileges", "volume"),
    *("stop", "start again", "volume is kept", "stop again", "writes"),
]


@pytest.fixture(scope="module")
def tried(images: dict[str, Any]) -> list[dict[str, Any]]:
    done = elpack("image", "smoke", *STANDIN, "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("flavour", ["uv", "rpm"])
def test_an_image_does_what_its_user_wants(tried: list[dict[str, Any]], images: dict[str, Any], flavour: str) -> None:
    built = images[f"{STEM}-{flavour}.oci.tar"]
    (report,) = [one for one in tried if one["digest"] in {built["index"], built["manifest"]}]
    assert [step["name"] for step in report["steps"]] == STEPS
    assert {step["status"] for step in report["steps"]} == {"ok"}
    logs = OUTPUT / "logs" / f"image-{flavour}"
    heard = next(logs.glob("*-client.log")).read_text()
    assert heard == "ok cbor\nok msgpack\nok json\nok ubjson\n"


@pytest.mark.parametrize("flavour", ["uv", "rpm"])
def test_what_runs_it_names_the_very_image(images: dict[str, Any], tmp_path: Path, flavour: str) -> None:
    index = images[f"{STEM}-{flavour}.oci.tar"]["index"]
    reference = f"registry.example.org/wamp/crossbar@{index}"
    for options in ((), ("--kubernetes",)):
        arguments = (tmp_path, *STANDIN, "--flavour", flavour, "--image", reference, *options)
        done = elpack("image", "unit", *map(str, arguments))
        assert done.returncode == 0, done.stderr[-3000:]
    assert f"\nImage={reference}\n" in (tmp_path / "crossbar.container").read_text()
    manifest = {one["kind"]: one for one in yaml.safe_load_all((tmp_path / "crossbar.yaml").read_text())}
    assert manifest["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"] == reference

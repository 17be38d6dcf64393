"""What those who read the texts that run an image say of them: podman's generator, systemd, Kubernetes' schemas."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml as parser
from tests.contract.images.newer import Customer

from elpack.config import parse_release
from elpack.images.kubernetes import kubernetes
from elpack.images.quadlet import quadlet
from elpack.images.running import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.images.newer import Newer

ROOT = Path(__file__).parents[3]
UNITS = "etc/containers/systemd"
GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"


def run_of_the_release(**change: Any) -> Run:
    release = parse_release((ROOT / "elpack.toml").read_text())
    assert release.images
    assert release.service
    run = Run(
        name="crossbar",
        title=release.service.description,
        reference="registry.example.org/wamp/crossbar@sha256:" + "5" * 64,
        version="crossbar 26.10.1-1.el9-uv",
        images=release.images,
        health=("/opt/crossbar/bin/python", "-c", release.images.health[-1]),
        mounts={place: (ROOT / source).read_text() for place, source in release.images.mounts.items()},
    )
    return dataclasses.replace(run, **change)


@pytest.fixture
def generated(newer: Newer, tmp_path: Path) -> Callable[[Run], dict[str, str]]:
    """Return a function that has podman 5 make services of a run's units: their texts by name."""

    def generate(run: Run) -> dict[str, str]:
        customer = Customer(newer, tmp_path / "customer")
        for name, text in quadlet(run).items():
            customer.write(f"{UNITS}/{name}", text)
        said = customer(GENERATOR, "--dryrun")
        parts = said.split("---")[1:]
        assert "rror" not in said, said
        return dict(zip(parts[::2], parts[1::2], strict=True))

    return generate


@pytest.mark.root
def test_podman_makes_services_of_the_units(generated: Callable[[Run], dict[str, str]]) -> None:
    services = generated(run_of_the_release())
    assert set(services) == {"crossbar.service", "crossbar-volume.service"}
    command = _command(services["crossbar.service"])
    assert command[-1] == run_of_the_release().reference
    for option in (
        *("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--user=1000:1000"),
        *("--stop-timeout=30", "--health-on-failure=kill", "--health-start-period=180s", "--sdnotify=healthy"),
    ):
        assert option in command or tuple(option.split("=", 1)) in _pairs(command), option
    assert ("-v", "crossbar:/data") in _pairs(command)
    assert ("--publish", "127.0.0.1:8080:8080") in _pairs(command)


@pytest.mark.root
@pytest.mark.parametrize("text", ["100%", "$HOME", "${HOME}", "%h", "a \\\" 'b'", "\\", "; echo", "#"])
def test_the_health_command_reaches_podman_as_it_is(generated: Callable[[Run], dict[str, str]], text: str) -> None:
    health = ("/bin/app", text, "last")
    service = generated(run_of_the_release(health=health, title=f"title {text}"))["crossbar.service"]
    command = _command(service)
    value = next(word for word in command if "/bin/app" in word).removeprefix("--health-cmd=")
    assert tuple(json.loads(value)) == health


@pytest.mark.root
def test_systemd_reads_the_services(
    generated: Callable[[Run], dict[str, str]], tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("systemd-analyze", "podman")
    files = []
    for name, text in generated(run_of_the_release()).items():
        (tmp_path / name).write_text(text)
        files.append(tmp_path / name)
    done = subprocess.run(
        ("systemd-analyze", "verify", "--man=no", *files), capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "crossbar" in line] == []


@pytest.mark.parametrize("kinds", [{"PersistentVolumeClaim", "ConfigMap", "Deployment", "Service"}])
def test_kubernetes_schemas_know_every_key(kinds: set[str]) -> None:
    found = list(parser.safe_load_all(kubernetes(run_of_the_release())))
    assert {one["kind"] for one in found} == kinds
    for one in found:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
    found[2]["spec"]["template"]["spec"]["containers"][0]["readOnlyRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found[2], kubernetes_validate.latest_version(), strict=True)


def _command(service: str) -> list[str]:
    """Return podman's arguments as systemd hands them over: quoting undone, and what was doubled once again single."""
    line = next(line for line in service.splitlines() if line.startswith("ExecStart="))
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStart="))]


def _pairs(command: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(command))

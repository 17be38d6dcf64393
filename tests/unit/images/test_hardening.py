"""An image is tried as it is run: the smoke test, its printed command, unit, pod and how-to have the same hardening."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import yaml

from elpack.config import parse_release
from elpack.images.container import BRIDGE, Container
from elpack.images.kubernetes import kubernetes
from elpack.images.quadlet import quadlet
from elpack.images.running import Run

ROOT = Path(__file__).parents[3]
HARDENED = {"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"}
REFERENCE = "registry.example.org/wamp/crossbar@sha256:" + "5" * 64
RELEASE = parse_release((ROOT / "elpack.toml").read_text())
assert RELEASE.images
RUN = Run("crossbar", "", REFERENCE, "1", RELEASE.images, ("true",), mounts=dict.fromkeys(RELEASE.images.mounts, ""))
TRIED = Container(
    "tried", network=BRIDGE, ports=RUN.images.ports, volume=("crossbar", RUN.images.data), mounts={"/etc/x": "/x"}
)


def of_the_unit() -> list[str]:
    """Return podman's options that a .container unit stands for, of those that the texts share."""
    names = {
        "DropCapability": "--cap-drop={}",
        "Volume": "--volume={}",
        "PublishPort": "--publish={}",
        "StopTimeout": "--stop-timeout={}",
    }
    flags = {"ReadOnly=true": "--read-only", "NoNewPrivileges=true": "--security-opt=no-new-privileges"}
    found = []
    for line in quadlet(RUN)["crossbar.container"].splitlines():
        key, _, value = line.partition("=")
        if line in flags:
            found.append(flags[line])
        elif key in names:
            found.append(names[key].format(value.replace(".volume:", ":")))
    return found


def test_the_command_in_the_how_to_is_what_the_unit_stands_for() -> None:
    page = (ROOT / "docs/how-to/run-the-image-with-systemd.md").read_text()
    (text,) = re.findall(r"^podman run (.*?)\n```", page, re.MULTILINE | re.DOTALL)
    *options, image = shlex.split(text.replace("\\\n", ""))
    assert image.partition("@")[0] == REFERENCE.partition("@")[0]
    assert sorted(options) == sorted(["--detach", "--name", "crossbar", *of_the_unit()])
    assert set(options) >= HARDENED


def test_what_is_tried_is_hardened_as_it_will_be_run() -> None:
    asked = TRIED.arguments()
    assert set(shlex.split(TRIED.typed(REFERENCE))) >= HARDENED
    assert (asked["read_only"], asked["cap_drop"], asked["no_new_privileges"]) == (True, ["all"], True)
    pod = next(one for one in yaml.safe_load_all(kubernetes(RUN)) if one["kind"] == "Deployment")
    security = pod["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    dropped = security["capabilities"]["drop"]
    assert (security["readOnlyRootFilesystem"], dropped) == (True, ["ALL"])
    assert not security["allowPrivilegeEscalation"]


def test_only_the_second_life_may_write_and_keeps_the_rest() -> None:
    writable = dataclasses.replace(TRIED, read_only=False)
    assert HARDENED & set(shlex.split(writable.typed(REFERENCE))) == HARDENED - {"--read-only"}

"""How containers are asked for, what images must say, and what a container may write."""

from __future__ import annotations

from typing import Any

import pytest

from elpack.images.annotations import HEALTH
from elpack.images.container import BRIDGE, HOST, Container, health_of, misfits, powers, strangers
from elpack.images.model import Images
from elpack.images.smoke import ImageSmoke, image_steps
from elpack.smoke import HOME, Smoke, SmokeStep

IMAGES = Images(health=("app", "check"), ports=(8080,), stop_signal="SIGINT")
CONFIG: dict[str, Any] = {
    "User": "1000:1000",
    "Entrypoint": ["app"],
    "StopSignal": "SIGINT",
    "Volumes": {"/data": {}},
    "ExposedPorts": {"8080/tcp": {}},
    "Labels": {HEALTH: '["app", "check"]'},
}
SERVER = Container(
    "one",
    network=BRIDGE,
    ports=(8080,),
    volume=("data", "/data"),
    mounts={"/etc/app.conf": "/home/me/my app.conf"},
    health=("app", "check"),
    start_period=7,
    owner=("label", "me"),
)


def test_a_sound_configuration_has_no_misfit() -> None:
    assert list(misfits(CONFIG, IMAGES)) == []
    assert list(misfits(CONFIG | {"User": "1000"}, IMAGES)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"User": ""}, "it runs as root, as no user is set, expected 1000:1000"),
        ({"User": "0:1000"}, "it runs as user 0:1000, expected 1000:1000"),
        ({"User": "app"}, "it runs as user app, expected 1000:1000"),
        ({"User": "1000:0"}, "it runs as user 1000:0, expected 1000:1000"),
        ({"Entrypoint": None}, "it has no entry point"),
        ({"StopSignal": ""}, "its stop signal is SIGTERM, expected SIGINT"),
        ({"Volumes": None}, "it declares no volume /data"),
        ({"ExposedPorts": {"8081/tcp": {}}}, "it does not tell that it listens on port 8080"),
        ({"Labels": None}, f"it has no label {HEALTH}"),
        ({"Labels": {HEALTH: "true"}}, f"its label {HEALTH} is no argument vector in JSON: true"),
        ({"Labels": {HEALTH: "[]"}}, f"its label {HEALTH} is no argument vector in JSON: []"),
        ({"Labels": {HEALTH: "[1"}}, f"its label {HEALTH} is no argument vector in JSON: [1"),
        ({"Labels": {HEALTH: '["a", 1]'}}, f'its label {HEALTH} is no argument vector in JSON: ["a", 1]'),
    ],
)
def test_what_does_not_fit_is_told(change: dict[str, Any], said: str) -> None:
    assert [problem.what for problem in misfits(CONFIG | change, IMAGES)] == [said]


def test_an_application_without_health_needs_no_label() -> None:
    assert list(misfits(CONFIG | {"Labels": None}, Images(stop_signal="SIGINT"))) == []


def test_a_label_is_an_argument_vector() -> None:
    assert health_of(CONFIG["Labels"]) == ("app", "check")


def test_a_container_has_nothing_that_it_does_not_need() -> None:
    asked = SERVER.arguments()
    assert asked["cap_drop"] == ["all"]
    assert asked["no_new_privileges"]
    assert asked["read_only"]
    assert asked["ports"] == {"8080/tcp": ("127.0.0.1", 0)}
    assert [mount["read_only"] for mount in asked["mounts"]] == [True]
    assert asked["healthcheck"]["Test"] == ["CMD", "app", "check"]
    assert asked["healthcheck"]["StartPeriod"] == 7_000_000_000
    assert asked["labels"] == {"label": "me"}
    assert "entrypoint" not in asked


def test_ports_are_published_on_a_bridge_only() -> None:
    assert "ports" not in Container("one", network=HOST, ports=(8080,)).arguments()


def test_a_writable_root_has_folders_in_memory_as_a_read_only_one_has() -> None:
    mounts = Container("one", read_only=False).arguments()["mounts"]
    assert {mount["target"] for mount in mounts if mount["type"] == "tmpfs"} == {"/run", "/tmp", "/var/tmp"}


def test_the_command_that_a_person_types_does_the_same() -> None:
    typed = SERVER.typed("sha256:1")
    assert typed == (
        "podman run --rm --cap-drop=all --security-opt=no-new-privileges --network=bridge --read-only"
        " --publish=127.0.0.1::8080 --volume=data:/data '--volume=/home/me/my app.conf:/etc/app.conf:ro,z' sha256:1"
    )
    step = Container("one", entrypoint=("app",), command=("say", "a b"), directory="/data", environment={"A": "1"})
    assert step.typed("image").endswith(
        "--network=none --read-only --env=A=1 --workdir=/data '--entrypoint=[\"app\"]' image say 'a b'"
    )


def test_processes_with_power_are_told() -> None:
    sound = {"USER": "app", "EFFECTIVE CAPS": "none", "BOUNDING CAPS": "none", "COMMAND": "app"}
    assert powers([sound, sound]) == ()
    assert powers([]) == ("there is none",)
    assert powers([sound, sound | {"USER": "root"}]) == (
        "user root, effective caps none, bounding caps none, command app",
    )
    for caps in ("EFFECTIVE CAPS", "BOUNDING CAPS"):
        assert len(powers([sound | {caps: "CHOWN"}])) == 1


def test_what_podman_writes_is_not_the_application_s() -> None:
    changes = [
        {"Path": "/etc", "Kind": 0},
        {"Path": "/etc/hosts", "Kind": 1},
        {"Path": "/data", "Kind": 0},
        {"Path": "/data/key", "Kind": 1},
        {"Path": "/opt", "Kind": 1},  # it leads to what is mounted
    ]
    assert strangers(changes, ("/data", "/opt/app.conf")) == ()


def test_what_the_application_writes_is_told() -> None:
    changes = [
        {"Path": "/database", "Kind": 1},
        {"Path": "/etc/hosts.deny", "Kind": 1},
        {"Path": "/etc", "Kind": 2},
        {"Path": "/usr/bin/app", "Kind": 0},
    ]
    assert strangers(changes, ("/data",)) == (
        "added /database",
        "added /etc/hosts.deny",
        "changed /usr/bin/app",
        "removed /etc",
    )


def test_steps_are_taken_in_the_order_of_their_names_with_ports_and_places() -> None:
    smoke = Smoke(
        (
            SmokeStep("talk", run=("{python}", "{files}/talk", "ws://localhost:{port:8080}/{port:81}", "{home}")),
            SmokeStep("version", run=("app",), expect=("{version:app}",), directory="/srv"),
        )
    )
    places = {"python": "/opt/app/bin/python", "prefix": "/opt/app", "home": "/data"}
    version, talk = image_steps(("version", "talk"), smoke, places, {"app": "1.0"}, {8080: 40001})
    assert talk.run == ("/opt/app/bin/python", "/run/elpack/files/talk", "ws://localhost:40001/81", "/data")
    assert talk.directory == "/data"
    assert (version.expect, version.directory) == ((r"1\.0",), "/srv")
    assert smoke.steps[0].directory == HOME


BESIDE = SmokeStep("beside", run=("a",), background=True)
NOT_ALONE = "step 'x' is not one command that runs by itself as the image's own user"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "there is no step 'x'"),
        ((SmokeStep("x", run=("a",), background=True), SmokeStep("y", run=("a",), ends="x")), NOT_ALONE),
        ((SmokeStep("x", run=("a",), user="app"),), NOT_ALONE),
        ((SmokeStep("x", run=("a",), state="app"),), NOT_ALONE),
        ((BESIDE, SmokeStep("x", run=("a",), ends="beside")), NOT_ALONE),
        ((BESIDE, SmokeStep("x", signal="SIGINT", ends="beside")), NOT_ALONE),
    ],
)
def test_a_step_that_no_container_can_take_is_a_mistake(steps: tuple[SmokeStep, ...], said: str) -> None:
    assert list(ImageSmoke(steps=("x",)).mistakes(Smoke(steps))) == [("steps", said)]
    assert list(ImageSmoke(outside=("x",)).mistakes(Smoke(steps))) == [("outside", said)]

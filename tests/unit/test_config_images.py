"""The [images] table: defaults from the service, and every mistake told at its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from elpack.config import parse_release
from elpack.config.images import image_repository, read_images
from elpack.errors import ConfigError
from elpack.images.model import FLAVOURS, Flavour, Images, Mode
from elpack.images.smoke import ImageSmoke
from elpack.service import Service
from elpack.tables import parse_toml

ROOT = Path(__file__).parents[2]
SERVICE = Service("x", "x", "x", ("/x",), kill_signal="SIGINT", start_timeout=180, stop_timeout=45)


def read(text: str, service: Service | None = None) -> tuple[Images, list[str]]:
    table = parse_toml("elpack.toml", text)
    images = read_images(table, service)
    return images, [problem.where + ": " + problem.what for problem in table.problems]


def test_what_is_not_said_is_the_services() -> None:
    images, problems = read("", SERVICE)
    assert problems == []
    assert (images.stop_signal, images.start_timeout, images.stop_timeout) == ("SIGINT", 180, 45)
    assert (images.flavours, images.mode, images.user, images.data) == (FLAVOURS, Mode.HOST, 1000, "/data")


def test_every_key_is_read() -> None:
    images, problems = read(
        """
        repository = "registry.example.org:5000/wamp/crossbar"
        flavours = ["rpm"]
        mode = "container"
        command = ["start"]
        health = ["{python}", "-V"]
        health-interval = 5
        start-timeout = 6
        stop-signal = "SIGQUIT"
        stop-timeout = 7
        user = 999
        ports = [80, 443, 80]
        data = "/srv/node"
        key = "~/keys/images.key"
        environment = { A = "b" }
        bases = { el9 = "ubi9-minimal" }
        """
    )
    assert problems == []
    assert images == Images(
        "registry.example.org:5000/wamp/crossbar",
        (Flavour.RPM,),
        Mode.CONTAINER,
        ("start",),
        ("{python}", "-V"),
        5,
        6,
        "SIGQUIT",
        7,
        999,
        (80, 443),
        "/srv/node",
        {"A": "b"},
        {"el9": "ubi9-minimal"},
        "~/keys/images.key",
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('repository = "crossbar"', "repository"),
        ('repository = "registry.example.org/a:tag"', "repository"),
        ("flavours = []", "flavours"),
        ('flavours = ["deb"]', "flavours"),
        ('mode = "elsewhere"', "mode"),
        ('command = ["a\\nb"]', "command"),
        ("user = 0", "user"),
        ("user = 65534", "user"),
        ("ports = [0]", "ports"),
        ("ports = [true]", "ports"),
        ('data = "data"', "data"),
        ('data = "/"', "data"),
        ('data = "/usr/share/app"', "data"),
        ('data = "/proc"', "data"),
        ('data = "/etc"', "data"),
        ('key = "~root/key"', "key"),
        ('environment = { "A=B" = "c" }', "environment.A=B"),
        ('environment = { A = "b\\u0007" }', "environment.A"),
        ('bases = { el8 = "ubi8" }', "bases.el8"),
        ('bases = { el9 = "FROM x" }', "bases.el9"),
        ("colour = 1", "colour"),
    ],
)
def test_a_mistake_is_told_at_its_key(text: str, where: str) -> None:
    _, problems = read(text)
    assert [where in problem for problem in problems] == [True] * max(1, len(problems))


@pytest.mark.parametrize("text", ["localhost:50/a", "localhost/a/b", "[::1]:5000/a", "r.example.org/a/b-c_d", "r:1/a"])
def test_a_repository_has_its_host(text: str) -> None:
    assert image_repository(text) == text


IMPOSSIBLE = ("r.e:99999/a", "[:::::]:5000/a", "[::1]x/a", f"{'a' * 64}.org/a")


@pytest.mark.parametrize(
    "text", ["", "a/b", "r.example.org", "https://r.e/a", "r.example.org/A", "r.e/a@b:0", *IMPOSSIBLE]
)
def test_another_form_is_no_repository(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        image_repository(text)


def test_mounts_and_smoke_are_read() -> None:
    images, problems = read(
        """
        mounts = { "/etc/app/app.conf" = "files/app.conf" }
        smoke = { steps = ["version"], outside = ["talk"], kept = ["key.pub"] }
        """
    )
    assert problems == []
    assert images.mounts == {"/etc/app/app.conf": "files/app.conf"}
    assert images.smoke == ImageSmoke(("version",), ("talk",), ("key.pub",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('mounts = { "/etc/shadow" = "x" }', "elpack.toml: mounts./etc/shadow: '/etc/shadow' belongs to the system"),
        ('mounts = { "etc/app" = "x" }', "elpack.toml: mounts.etc/app: 'etc/app' is not a plain absolute path"),
        ('mounts = { "/etc/app" = "../x" }', "elpack.toml: mounts./etc/app: '../x' is not a plain relative path"),
        ('smoke = { kept = ["/key"] }', "elpack.toml: smoke.kept: '/key' is not a plain relative path"),
    ],
)
def test_mounts_and_files_that_cannot_be(text: str, problem: str) -> None:
    (said,) = read(text)[1]
    assert said.startswith(problem)


def test_a_step_that_the_release_lacks_is_told() -> None:
    text = (ROOT / "elpack.toml").read_text().replace('outside = ["client"]', 'outside = ["client", "start", "absent"]')
    with pytest.raises(ConfigError) as error:
        parse_release(text)
    assert [problem.what for problem in error.value.problems] == [
        "step 'start' is not one command that runs by itself as the image's own user",
        "there is no step 'absent'",
    ]

"""Containerfiles: what they say, and that no text from outside says more than it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plans import RELEASE, Case

from elpack.config import parse_release
from elpack.errors import ImageError
from elpack.images.annotations import HEALTH, About, about_images, labels
from elpack.images.containerfile import From, Recipe, containerfile, exec_form, file_name, quoted, word
from elpack.images.model import Flavour, Images, Mode
from elpack.plan.make import make_plan

IMAGES = """\
[images]
command = ["serve", "--all"]
health = ["{python}", "-c", "print('$HOME')"]
ports = [8080, 9090]
stop-signal = "SIGINT"
[images.environment]
GREETING = 'say "hi" $HOME \\'
"""
BASE = From("registry.example.org/base@sha256:" + "1" * 64, "registry.example.org/base:1", "sha256:" + "1" * 64)
MADE = ((Flavour.UV, Mode.HOST), (Flavour.UV, Mode.CONTAINER), (Flavour.RPM, Mode.HOST))


def about() -> About:
    case = Case(release=RELEASE + IMAGES)
    inputs = case.inputs()
    return about_images(inputs.release, make_plan(inputs))


def recipe(**changes: Any) -> Recipe:
    images = parse_release(RELEASE + IMAGES).images
    assert images is not None
    places = {"python": "/opt/shop/bin/python", "prefix": "/opt/shop"}
    return Recipe(replace(images, **changes), about(), "el9", "app", "/opt/shop", places, ("one", "two"))


def instructions(text: str) -> list[str]:
    """Return instructions as engines read them: without comments, continued lines in one."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [line for line in re.sub(r"\\\n", "", lines).splitlines() if line]


@pytest.mark.parametrize(("flavour", "mode"), MADE)
def test_what_an_image_is_started_with(flavour: Flavour, mode: Mode) -> None:
    said = instructions(containerfile(recipe(), flavour, mode, BASE))
    assert {"USER 1000:1000", "STOPSIGNAL SIGINT", "WORKDIR /data", 'VOLUME ["/data"]'} <= set(said)
    assert {"EXPOSE 8080", "EXPOSE 9090", 'ENTRYPOINT ["app"]', 'CMD ["serve", "--all"]'} <= set(said)
    assert said[-1].startswith("CMD [")


@pytest.mark.parametrize(("flavour", "mode"), MADE)
def test_nothing_runs_in_the_last_stage_and_every_base_has_its_platform(flavour: Flavour, mode: Mode) -> None:
    said = instructions(containerfile(recipe(), flavour, mode, BASE))
    last = max(number for number, line in enumerate(said) if line.startswith("FROM "))
    assert not [line for line in said[last:] if line.startswith("RUN ")]
    assert all(
        line.startswith("FROM --platform=linux/amd64 ") or line == "FROM scratch" for line in said if "FROM " in line
    )
    assert not [line for line in said if line.startswith("HEALTHCHECK")]


def test_layers_from_the_one_that_changes_least() -> None:
    added = [line for line in instructions(containerfile(recipe(), Flavour.RPM, Mode.HOST)) if line.startswith("ADD")]
    assert added == ["ADD os.tar /", "ADD third-party.tar /", "ADD first-party.tar /"]
    host = instructions(containerfile(recipe(), Flavour.UV, Mode.HOST, BASE))
    assert host[:3] == [
        f"FROM --platform=linux/amd64 {BASE.reference}",
        "ADD third-party.tar /",
        "ADD first-party.tar /",
    ]


def test_a_stage_makes_the_tree_and_the_last_one_copies_it() -> None:
    said = instructions(containerfile(recipe(), Flavour.UV, Mode.CONTAINER, BASE))
    assert said[0].endswith(" AS tree")
    assert "RUN --mount=type=bind,target=/context one &&     two" in said
    assert said[said.index("COPY --from=tree /opt/shop /opt/shop") + 1] == "ADD overlay.tar /"


def test_labels_tell_where_it_comes_from_and_how_its_health_is_asked_for() -> None:
    said = labels(about(), ("true", "$HOME"), base=BASE.name, digest=BASE.digest)
    assert json.loads(said[HEALTH]) == ["true", "$HOME"]
    assert said["org.opencontainers.image.created"] == "2026-11-01T00:00:00Z"
    assert said["org.opencontainers.image.base.digest"] == BASE.digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", said["org.opencontainers.image.revision"])
    assert not any(value == "" for value in said.values())


def test_a_tag_holds_no_character_of_rpm_s() -> None:
    changed = replace(about(), evr="1.0.0^post1~rc1-2.el9")
    assert changed.tag(Flavour.UV) == "1.0.0_post1_rc1-2.el9-uv"
    assert changed.stem(Flavour.RPM) == "app-1.0.0_post1_rc1-2.el9-rpm"


@pytest.mark.parametrize("text", ["a\nRUN evil", "a\rb", "a\0b", "a\u2028b", "\x1b[2J"])
def test_line_ends_are_refused_everywhere(text: str) -> None:
    for hostile in (
        {"environment": {"A": text}},
        {"command": (text,)},
        {"health": (text,)},
        {"data": f"/{text}"},
        {"stop_signal": text},
    ):
        if "health" in hostile:  # as JSON in a label a line end is two harmless characters
            assert "\nRUN" not in containerfile(recipe(**hostile), Flavour.RPM, Mode.HOST)
            continue
        with pytest.raises(ImageError, match=r"control characters|unquoted"):
            containerfile(recipe(**hostile), Flavour.RPM, Mode.HOST)


@pytest.mark.parametrize("text", ["", "a b", "$A", "a\\", "`id`", '"', "é", "<<EOF", "a;b"])
def test_what_stands_unquoted_is_plain(text: str) -> None:
    with pytest.raises(ImageError, match="cannot stand unquoted"):
        word(text)


def test_quotes_backslashes_and_dollars_are_literal() -> None:
    assert quoted('a"b\\c$d') == '"a\\"b\\\\c\\$d"'
    assert json.loads(exec_form(['a"b\\c$d', "é"])) == ['a"b\\c$d', "é"]


def test_a_description_from_an_index_stays_in_its_line() -> None:
    text = containerfile(
        replace(recipe(), about=replace(about(), description='x" \\\\ $(id) # " ADD')), Flavour.RPM, Mode.HOST
    )
    assert 'description="x\\" \\\\\\\\ \\$(id) # \\" ADD"' in text


def test_files_have_names_of_their_own() -> None:
    assert [file_name(*one) for one in MADE] == [
        "uv-host.Containerfile",
        "uv-container.Containerfile",
        "rpm.Containerfile",
    ]


def test_no_images_without_their_table() -> None:
    inputs = Case().inputs()
    with pytest.raises(ImageError, match=r"no table \[images\]"):
        about_images(inputs.release, make_plan(inputs))


def test_a_base_is_needed_by_flavour_uv_alone() -> None:
    assert "FROM scratch" in containerfile(recipe(), Flavour.RPM, Mode.HOST)
    with pytest.raises(ImageError, match="base image"):
        containerfile(recipe(), Flavour.UV, Mode.HOST)


def test_defaults_have_no_command_of_a_base() -> None:
    text = containerfile(recipe(command=Images().command), Flavour.UV, Mode.HOST, BASE)
    assert instructions(text)[-1] == "CMD []"

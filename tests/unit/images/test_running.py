"""Texts that run an image: Quadlet's units and Kubernetes' manifest, and the YAML that it is written in."""

from __future__ import annotations

import dataclasses
from configparser import RawConfigParser
from typing import Any

import pytest
import yaml as parser
from hypothesis import given
from hypothesis import strategies as st

from elpack.images.kubernetes import kubernetes
from elpack.images.model import Images
from elpack.images.quadlet import quadlet
from elpack.images.running import Run, run_name
from elpack.images.yaml import yaml

DIGEST = "sha256:" + "5" * 64
RUN = Run(
    name="shop",
    title="100% shop",
    reference=f"registry.example.org:5000/shop/app@{DIGEST}",
    version="shop 1.0-1.el9-uv",
    images=Images(ports=(8080, 9000), stop_timeout=40, start_timeout=61, user=1001, data="/srv/data"),
    health=("/opt/shop/bin/python", "-c", "print('100%', \"$HOME\")"),
    mounts={"/etc/shop/shop.json": '{\n  "a": 1\n}\n'},
)


def container(run: Run) -> dict[str, list[str]]:
    """Return the keys of the unit's [Container] and their values, in order."""
    text = quadlet(run)["shop.container"].partition("[Container]\n")[2].partition("\n\n")[0]
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)
    return found


def objects(run: Run) -> dict[str, Any]:
    return {found["kind"]: found for found in parser.safe_load_all(kubernetes(run))}


def test_a_unit_runs_this_image_and_no_other_without_rights() -> None:
    found = container(RUN)
    assert found["Image"] == [RUN.reference]
    assert found["Volume"] == ["shop.volume:/srv/data", "/etc/shop/shop.json:/etc/shop/shop.json:ro,Z"]
    assert found["PublishPort"] == ["127.0.0.1:8080:8080", "127.0.0.1:9000:9000"]
    assert (found["User"], found["ReadOnly"], found["DropCapability"]) == (["1001"], ["true"], ["all"])
    assert (found["StopTimeout"], found["HealthStartPeriod"]) == (["40"], ["61s"])
    assert "AutoUpdate" not in found
    assert quadlet(RUN)["shop.volume"] == "[Volume]\nVolumeName=shop\n"


def test_nothing_in_a_unit_is_expanded_by_systemd() -> None:
    assert container(RUN)["HealthCmd"] == [
        '["/opt/shop/bin/python", "-c", "print(\'100%%\', \\"$$HOME\\")"]',
    ]
    assert "\nDescription=100%% shop\n" in quadlet(RUN)["shop.container"]


def test_without_health_nobody_waits_for_it() -> None:
    run = dataclasses.replace(RUN, health=())
    assert {"HealthCmd", "Notify"}.isdisjoint(container(run))
    pod = objects(run)["Deployment"]["spec"]["template"]["spec"]
    assert not [key for key in pod["containers"][0] if key.endswith("Probe")]


def test_a_unit_is_an_ini_file() -> None:
    reader = RawConfigParser(strict=False)
    reader.read_string(quadlet(RUN)["shop.container"])
    assert reader.sections() == ["Unit", "Container", "Service", "Install"]


def test_a_manifest_holds_what_belongs_together() -> None:
    found = objects(RUN)
    assert list(found) == ["PersistentVolumeClaim", "ConfigMap", "Deployment", "Service"]
    assert found["ConfigMap"]["data"] == {"shop.json": RUN.mounts["/etc/shop/shop.json"]}
    deployment, service = found["Deployment"]["spec"], found["Service"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (service["selector"], deployment["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    names = [port["name"] for port in deployment["template"]["spec"]["containers"][0]["ports"]]
    assert [port["targetPort"] for port in service["ports"]] == names
    assert all(len(name) <= 15 for name in names)


def test_a_pod_meets_the_restricted_standard() -> None:
    pod = objects(RUN)["Deployment"]["spec"]["template"]["spec"]
    (one,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert one["image"] == RUN.reference
    assert one["livenessProbe"]["exec"]["command"] == list(RUN.health)
    assert one["startupProbe"]["periodSeconds"] * one["startupProbe"]["failureThreshold"] >= 61
    mounted, volumes = {m["name"] for m in one["volumeMounts"]}, {v["name"] for v in pod["volumes"]}
    assert mounted == volumes


def test_an_application_without_ports_or_files_has_less() -> None:
    run = dataclasses.replace(RUN, images=Images(), mounts={})
    assert list(objects(run)) == ["PersistentVolumeClaim", "Deployment"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Shop"}, "cannot name a unit"),
        ({"name": "shop\n"}, "cannot name a unit"),
        ({"name": "shop-"}, "cannot name a unit"),
        ({"reference": "registry.example.org/shop/app:1"}, "with its host and its digest"),
        ({"reference": f"app@{DIGEST}"}, "with its host and its digest"),
        ({"reference": f"registry.example.org/app@{DIGEST}\n"}, "with its host and its digest"),
        ({"title": "a\n[Service]"}, "control characters"),
        ({"documentation": "a\nb"}, "control characters"),
        ({"health": ("a\nb",)}, "control characters"),
        ({"mounts": {"/etc/a/x": "", "/etc/b/x": ""}}, "two mounted files have one name: x, x"),
    ],
)
def test_what_would_be_misread_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(RUN, **change)


@pytest.mark.parametrize(("text", "name"), [("My_App.x", "my-app-x"), ("-.", "application"), ("a" * 90, "a" * 52)])
def test_names_of_dists_become_names_of_units(text: str, name: str) -> None:
    assert run_name(text) == name
    dataclasses.replace(RUN, name=name)


keys = st.text(min_size=1, max_size=40)
texts = st.text(max_size=40) | st.from_regex(r"\A[a-z]+(\n *[!-~ ]{0,20}){0,5}\n?\Z")
values: st.SearchStrategy[Any] = st.recursive(
    texts | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner.filter(lambda one: not isinstance(one, list)), max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=8,
)
WORDS = (
    "yes",
    "No",
    "1e3",
    "0x1f",
    "1_000",
    "1:30",
    "~",
    "null",
    "- a",
    "a: b",
    "a #b",
    "2026-11-23",
    "|",
    ".inf",
    "=",
)


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_yaml_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    assert list(parser.safe_load_all(yaml([document, document]))) == [document, document]


@pytest.mark.parametrize("word", WORDS)
def test_words_that_mean_something_to_yaml_stay_text(word: str) -> None:
    assert parser.safe_load(yaml([{word: word, "l": [word]}])) == {word: word, "l": [word]}


def test_lines_stand_as_they_are() -> None:
    text = '{\n    "a": [\n\n    ]\n}\n'
    assert '  x: |\n    {\n        "a": [\n\n        ]\n    }\n' in yaml([{"d": {"x": text}}])

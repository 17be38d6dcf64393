"""Installing from an air-gap delivery in a network namespace without any interface that is up."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.airgap.delivered import TOOLS, Delivered, Shop, new_shop, said
from tests.contract.airgap.host import Host
from tests.contract.customer import flip
from tests.contract.images.newer import Customer, newer_tools

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

SKOPEO = """\
#!{python}
import pickle, sys
sys.path.insert(0, {root!r})
with open({customer!r}, "rb") as file:
    print(pickle.load(file)("skopeo", *sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Shop:
    needs(*TOOLS, "dnf", "unshare", "ip")
    made = new_shop(tmp_path_factory.mktemp("shop"))
    made.make("1")
    return made


@pytest.fixture(scope="module")
def delivered(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return Delivered.unpacked(shop.delivery(), shop.signer, tmp_path_factory.mktemp("at") / "a stick")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host.new(tmp_path / "host")


def test_installed_without_any_network(delivered: Delivered, host: Host) -> None:
    # dnf would fail with this repository if it looked at it
    repos = host.root / "etc" / "yum.repos.d"
    repos.mkdir(parents=True)
    (repos / "far.repo").write_text("[far]\nname=far\nbaseurl=http://192.0.2.1/\n")
    done = host.install(delivered, "--expect", "1-1")
    assert done.code == 0, done.text
    links = [line for line in done.text.splitlines() if ": <" in line]
    assert len(links) == 1
    assert "lo: <LOOPBACK>" in links[0], "no interface, and not even loopback is up"
    assert host.installed() == "1"
    assert [path.name for path in repos.iterdir()] == ["far.repo"]
    assert not list((host.work / "tmp").iterdir())
    assert not list(host.root.glob("var/cache/dnf/airgap-*"))


def test_the_hosts_own_repositories_are_asked_only_when_told_to(delivered: Delivered, host: Host) -> None:
    repos = host.root / "etc" / "yum.repos.d"
    repos.mkdir(parents=True)
    (repos / "dvd.repo").write_text("[dvd]\nname=dvd\nbaseurl=file:///nonexistent\nskip_if_unavailable=0\n")
    done = host.install(delivered, "--with-host-repos")
    assert done.code == 4
    assert "install: dnf refused. What the host has to bring is listed in HOST-NEEDS" in done.text
    assert host.installed() == ""


@pytest.mark.parametrize("arguments", [("--expect", "2-1"), ("--expect", "1")])
def test_another_version_than_expected(arguments: tuple[str, ...], delivered: Delivered, host: Host) -> None:
    done = host.install(delivered, *arguments)
    assert done.code == 1
    assert f"install: this is version 1-1, not {arguments[1]}" in done.text
    assert host.installed() == ""


@pytest.mark.parametrize("arguments", [("--unknown",), ("--expect",), ("a", "b", "c"), ("--root", "/nonexistent")])
def test_wrong_usage(arguments: tuple[str, ...], delivered: Delivered) -> None:
    done = said("sh", str(delivered.folder / "install"), *arguments)
    assert done.code == 2
    assert "sh ./install [OPTIONS] FINGERPRINT [IMAGE-KEY-FINGERPRINT]" in done.text


def test_nothing_is_installed_of_what_is_not_as_it_was_signed(delivered: Delivered, host: Host, tmp_path: Path) -> None:
    changed = delivered.copy(tmp_path / "changed")
    flip(changed.path("repo/*.rpm"), -10)
    done = host.install(changed)
    assert done.code == 1
    assert "THIS IS NOT WHAT WAS SIGNED" in done.text
    assert host.installed() == ""


def test_dnf_refuses_what_was_exchanged_after_it_was_verified(delivered: Delivered, host: Host, tmp_path: Path) -> None:
    changed = delivered.copy(tmp_path / "changed")
    flip(changed.path("repo/*.rpm"), -10)
    (changed.folder / "verify").write_text("exit 0\n")
    done = host.install(changed)
    assert done.code == 4
    assert host.installed() == ""


@pytest.fixture
def podman(host: Host, needs: Callable[..., None]) -> Customer:
    """Return Debian 13's podman and skopeo, which judge signatures; the host calls that skopeo."""
    newer = newer_tools(needs)
    customer = Customer(newer, host.work / "podman", shown=(host.work / "tmp",))
    pickled, script = host.work / "customer", host.work / "bin" / "skopeo"
    pickled.write_bytes(pickle.dumps(customer))
    root = str(Path(__file__).parents[2])
    script.write_text(SKOPEO.format(python=sys.executable, root=root, customer=str(pickled)))
    script.chmod(0o755)
    return customer


def images(podman: Customer) -> dict[str, str]:
    """Return digest by name of all images in the storage."""
    found = json.loads(podman("podman", "images", "--format", "json") or "[]")
    return {name: one["Digest"] for one in found for name in one["Names"]}


def test_images_come_into_the_storage_by_their_signatures(delivered: Delivered, host: Host, podman: Customer) -> None:
    done = host.install(delivered, "--with-images")
    assert done.code == 0, done.text
    assert host.installed() == "1"
    listed = [line.split() for line in (delivered.folder / "images" / "LIST").read_text().splitlines()]
    assert images(podman) == {reference: digest for _, reference, digest in listed}
    assert {reference for _, reference, _ in listed} == {"localhost/shop:1-1-rpm", "localhost/shop:1-1-uv"}


def test_an_image_with_the_signature_of_another_is_refused(
    delivered: Delivered, host: Host, podman: Customer, tmp_path: Path
) -> None:
    changed = delivered.copy(tmp_path / "changed")
    (changed.folder / "verify").write_text("exit 0\n")
    text = (changed.folder / "images" / "LIST").read_text().replace(":1-1-uv", ":2-1-uv")
    (changed.folder / "images" / "LIST").write_text(text)
    done = host.install(changed, "--images-only")
    assert done.code == 5
    assert "install: image localhost/shop:2-1-uv was refused" in done.text
    assert images(podman).keys() == {"localhost/shop:1-1-rpm"}
    assert host.installed() == ""


def test_skopeo_is_asked_for_before_anything_is_installed(delivered: Delivered, host: Host, tmp_path: Path) -> None:
    few = tmp_path / "all but skopeo"
    few.mkdir()
    for program in (path for path in Path("/usr/bin").iterdir() if path.name != "skopeo"):
        (few / program.name).symlink_to(program)
    script = str(delivered.folder / "install")
    done = said("sh", script, "--root", str(host.root), "--with-images", delivered.key, PATH=str(few))
    assert done.code == 3
    assert "install: not installed: skopeo" in done.text
    assert host.installed() == ""

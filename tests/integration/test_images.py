"""The images of the real release: what is handed over, the same bytes from elsewhere, and what a change rewrites.

They are run as users run them, with the texts by which others run them, and pulled by a customer's podman under the
documented policy. All of it is in one file, for the tests of a file share one worker's images.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.contract.images.newer import newer_tools
from tests.contract.images.real import pulled_under_policy
from tests.contract.images.registry import NEEDED
from tests.integration.wamp import DISTS, OUTPUT, PROJECT, STANDIN, elpack

from elpack.cli.options import session_of
from elpack.images.model import Layer
from elpack.model import Sha256
from elpack.pipeline import carry_out
from elpack.steps.images.archive import Archive
from elpack.steps.images.compare import Reason, compare_trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.root]

TAG = "26.10.1-1.el9s"
STEM = f"crossbar-{TAG}"
FLAVOURS = ("uv", "rpm")
STEPS = [
    *("image", "version", "native code", "contracts", "health check fails", "start", "client", "privileges", "volume"),
    *("stop", "start again", "volume is kept", "stop again", "writes"),
]

# run by the target's own Python: what it would compile anew, it says
STALE = """
import importlib.util, os, struct
for folder, _, files in os.walk("/opt/crossbar/lib"):
    for source in (os.path.join(folder, name) for name in files if name.endswith(".py")):
        compiled = importlib.util.cache_from_source(source)
        if os.path.exists(compiled):
            magic, flags, mtime, size = struct.unpack("<4sIII", open(compiled, "rb").read(16))
            found = os.stat(source)
            fresh = magic == importlib.util.MAGIC_NUMBER and (mtime, size) == (int(found.st_mtime), found.st_size)
            print("fresh" if fresh else source)
"""


def build(project: Path, *arguments: str) -> dict[str, Any]:
    done = elpack("image", "build", *STANDIN, "--json", *arguments, project=project)
    assert done.returncode == 0, done.stderr[-6000:]
    return dict(json.loads(done.stdout))


def layers(archive: Path) -> list[str]:
    return [blob.digest for blob in Archive(archive).images[0].blobs[1:]]


def tars(archive: Path, folder: Path) -> tuple[Layer, ...]:
    """Return the layers of an image as the tars that they were made of, written into a folder."""
    opened, found = Archive(archive), []
    for number, blob in enumerate(opened.images[0].blobs[1:]):
        plain = gzip.decompress(b"".join(opened.pieces(blob)))
        path = folder / f"{number}.tar"
        path.write_bytes(plain)
        found.append(Layer(path.stem, path, Sha256(hashlib.sha256(plain).hexdigest()), len(plain)))
    return tuple(found)


def config(archive: Path) -> dict[str, Any]:
    opened = Archive(archive)
    return dict(json.loads(opened.read(opened.images[0].blobs[0].digest)))


@pytest.fixture(scope="module")
def second(elsewhere: Path) -> dict[str, Any]:
    return build(elsewhere)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_image_is_listed_with_what_describes_it(images: dict[str, Any], flavour: str) -> None:
    manifest = json.loads((OUTPUT / "manifest.json").read_text())
    listed = {entry["path"]: entry["kind"] for entry in manifest["artefacts"]}
    stem = f"images/{STEM}-{flavour}"
    assert {listed[f"{stem}{end}"] for end in (".cdx.json", ".intoto.json", ".dsse.json")} == {"sbom", "provenance"}
    assert listed[f"{stem}.oci.tar"] == "image"
    assert images[f"{STEM}-{flavour}.oci.tar"]["platform"] == "linux/amd64"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_an_image_says_of_itself(images: dict[str, Any], flavour: str) -> None:
    said = config(OUTPUT / images[f"{STEM}-{flavour}.oci.tar"]["path"])
    settings = said["config"]
    assert (settings["User"], settings["StopSignal"], settings["WorkingDir"]) == ("1000:1000", "SIGINT", "/data")
    assert settings["Entrypoint"] == ["crossbar"]
    assert settings["Labels"]["org.opencontainers.image.version"] == "26.10.1-1.el9s"
    assert json.loads(settings["Labels"]["io.elpack.health"])[0] == "/opt/crossbar/bin/python"
    assert said["created"] == "2026-11-20T00:00:00Z"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_bill_of_materials_names_dists_and_the_systems_packages(images: dict[str, Any], flavour: str) -> None:
    document = json.loads((OUTPUT / f"images/{STEM}-{flavour}.cdx.json").read_text())
    purls = {one.get("purl", "") for one in document["components"]}
    assert "pkg:pypi/crossbar@26.10.1" in purls
    assert [purl for purl in purls if purl.startswith("pkg:rpm/el9-standin/glibc@")]
    assert bool([purl for purl in purls if purl.startswith("pkg:rpm/crossbar/crossbar@")]) is (flavour == "rpm")


def test_verify_judges_images_too(images: dict[str, Any]) -> None:
    done = elpack("verify")
    assert done.returncode == 0, done.stderr
    assert "2 image" in done.stdout


def test_a_second_run_makes_nothing(images: dict[str, Any]) -> None:
    before = (OUTPUT / "manifest.json").read_bytes()
    again = build(PROJECT)
    assert all(one["cached"] for one in again.values())
    assert {name: one["index"] for name, one in again.items()} == {name: one["index"] for name, one in images.items()}
    assert (OUTPUT / "manifest.json").read_bytes() == before


def test_a_local_image_is_the_one_that_is_handed_over(images: dict[str, Any]) -> None:
    before = (OUTPUT / "manifest.json").read_bytes()
    done = elpack("image", "local", *STANDIN, "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    (local,) = json.loads(done.stdout).values()
    assert local["index"] == images[f"{STEM}-uv.oci.tar"]["index"]
    assert Archive(PROJECT / ".elpack" / local["path"]).digest == local["index"]
    assert (OUTPUT / "manifest.json").read_bytes() == before


def test_another_folder_work_folder_time_and_key_give_the_same_digest(
    images: dict[str, Any], second: dict[str, Any]
) -> None:
    assert not any(one["cached"] for one in second.values())
    assert {name: one["index"] for name, one in second.items()} == {name: one["index"] for name, one in images.items()}


def test_a_change_of_our_own_rewrites_the_last_layer_alone(
    images: dict[str, Any], elsewhere: Path, second: dict[str, Any]
) -> None:
    asset = elsewhere / "specs" / "crossbar" / "config.json"
    asset.write_text(asset.read_text() + "\n")
    changed = build(elsewhere)
    for name, one in changed.items():
        new = layers(elsewhere / "dist" / "el9-standin" / "x86_64" / one["path"])
        old = layers(OUTPUT / "images" / name)
        assert new[:-1] == old[:-1], name
        assert new[-1] != old[-1], name


def test_nothing_in_the_root_of_flavour_rpm_is_stale_and_rpm_can_read_it(
    images: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for layer in tars(OUTPUT / images[f"{STEM}-rpm.oci.tar"]["path"], tmp_path):
        subprocess.run(("tar", "-C", root, "--same-owner", "-xpf", layer.tar), check=True)
    python = ("chroot", root, "/usr/bin/python3.11", "-c", STALE)
    said = subprocess.run(python, stdout=-1, text=True, check=True).stdout.split("\n")
    assert set(said) == {"fresh", ""}
    assert len(said) > 5000
    database = ("rpm", "--root", root, "--dbpath", "/var/lib/rpm")
    assert len(subprocess.run((*database, "-qa"), stdout=-1, text=True, check=True).stdout.split()) > 200
    changed = subprocess.run((*database, "-Va"), stdout=-1, text=True, check=False).stdout.splitlines()
    assert {line.split()[0] for line in changed if not line.split()[-1].startswith("/etc/")} == {".M......."}
    allowed = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/usr/bin/", "/usr/sbin/")
    assert all(line.split()[-1].startswith(allowed) for line in changed)
    assert not any((root / "usr/bin" / name).exists() for name in ("dnf", "dnf-3", "yum", "microdnf"))


def test_the_tree_of_flavour_uv_is_that_of_the_rpms(images: dict[str, Any], tmp_path: Path) -> None:
    session = session_of(PROJECT / "elpack.toml", target=STANDIN[1], quiet=True)
    carry_out(session, "build")
    layers = tars(OUTPUT / images[f"{STEM}-uv.oci.tar"]["path"], tmp_path)
    (tmp_path / "work").mkdir()
    found = compare_trees(session, layers, tmp_path / "work")
    assert found[Reason.RECORD] == found[Reason.INSTALLER] == DISTS
    assert found[Reason.DROPPED] == 1
    assert found[Reason.COMMAND] > 30
    assert found.keys() == set(Reason)


def test_a_publication_leaves_images_to_the_registry(images: dict[str, Any], tmp_path: Path) -> None:
    done = elpack("publish", str(tmp_path / "www"), "--snapshot", "--target", "el9-standin")
    assert done.returncode == 0, done.stderr[-3000:]
    published = next((tmp_path / "www").rglob("manifest.json.asc")).parent
    assert (published / "repo").is_dir()
    assert not (published / "images").exists()


@pytest.fixture(scope="module")
def tried(images: dict[str, Any]) -> list[dict[str, Any]]:
    done = elpack("image", "smoke", *STANDIN[:2], "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_image_does_what_its_user_wants(tried: list[dict[str, Any]], images: dict[str, Any], flavour: str) -> None:
    built = images[f"{STEM}-{flavour}.oci.tar"]
    (report,) = [one for one in tried if one["digest"] in {built["index"], built["manifest"]}]
    assert [step["name"] for step in report["steps"]] == STEPS
    assert {step["status"] for step in report["steps"]} == {"ok"}
    logs = OUTPUT / "logs" / f"image-{flavour}"
    heard = next(logs.glob("*-client.log")).read_text()
    assert heard == "ok cbor\nok msgpack\nok json\nok ubjson\n"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_runs_it_names_the_very_image(images: dict[str, Any], tmp_path: Path, flavour: str) -> None:
    index = images[f"{STEM}-{flavour}.oci.tar"]["index"]
    reference = f"registry.example.org/wamp/crossbar@{index}"
    for options in ((), ("--kubernetes",)):
        arguments = (tmp_path, *STANDIN[:2], "--flavour", flavour, "--image", reference, *options)
        done = elpack("image", "unit", *map(str, arguments))
        assert done.returncode == 0, done.stderr[-3000:]
    assert f"\nImage={reference}\n" in (tmp_path / "crossbar.container").read_text()
    manifest = {one["kind"]: one for one in yaml.safe_load_all((tmp_path / "crossbar.yaml").read_text())}
    assert manifest["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"] == reference


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_real_image_is_judged_by_its_signature(
    images: dict[str, Any], needs: Callable[..., None], tmp_path: Path, flavour: str
) -> None:
    needs(*NEEDED)
    archive = OUTPUT / images[f"{STEM}-{flavour}.oci.tar"]["path"]
    settings = pulled_under_policy(newer_tools(needs), tmp_path, [archive], f"{TAG}-{flavour}")
    assert (settings["User"], settings["Entrypoint"]) == ("1000:1000", ["crossbar"])

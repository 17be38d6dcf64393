"""Images through a mirror and on a disk, as the documentation says: the publisher's signatures still decide."""

from __future__ import annotations

import gzip
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.publisher import NAME, OLD, TAG, Page, visitor
from tests.contract.images.registry import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.contract.images.newer import Customer, Newer
    from tests.contract.images.publisher import Publisher
    from tests.contract.images.registry import Registry

pytestmark = pytest.mark.root

POLICY, CARRIED = "/etc/containers/policy.json", "/srv/carried"
MIRRORED, BY_NAME = "/etc/containers/registries.d/mirror.yaml", "/etc/containers/registries.conf.d/mirror.conf"
UNSIGNED = "A signature was required, but no signature exists"


@pytest.fixture(scope="module")
def mirror(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("mirror")) as registry:
        yield registry


@pytest.fixture(scope="module")
def page(publisher: Publisher, mirror: Registry) -> Page:
    return Page("mirror-images.md", public=publisher.registry.host, mirror=mirror.host)


@pytest.fixture(scope="module")
def pulling(publisher: Publisher) -> Page:
    return Page("pull-and-verify-images.md", public=publisher.registry.host)


@pytest.fixture(scope="module")
def machine(
    newer: Newer, publisher: Publisher, pulling: Page, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Customer]:
    """Return a function that makes a machine which may use these registries, and is set up as the first page says."""

    def make(*registries: Registry) -> Customer:
        customer = visitor(newer, tmp_path_factory.mktemp("machine") / "root", *registries)
        customer.write("etc/pki/containers/crossbar.pub", publisher.key.public.pem.decode())
        pulling.configures(customer)
        return customer

    return make


@pytest.fixture(scope="module")
def copier(machine: Callable[..., Customer], publisher: Publisher, mirror: Registry, page: Page) -> Customer:
    """Return the machine that filled the mirror, by the page's own command."""
    copier = machine(publisher.registry, mirror)
    fill = page.commands()[0]
    page.promises("writing sigstore attachments is disabled by configuration", copier("bash", "-c", fill, code=1))
    page.configures(copier, MIRRORED)
    copier("bash", "-ec", fill)
    return copier


def pull(customer: Customer, reference: str, code: int = 0) -> str:
    return customer("podman", "pull", "--quiet", reference, code=code)


def test_by_the_publishers_name(
    machine: Callable[..., Customer], copier: Customer, publisher: Publisher, mirror: Registry, page: Page
) -> None:
    ours = publisher.release(TAG)
    customer = machine(mirror)  # the publisher's registry is a stranger to it
    pull(customer, ours.reference, code=125)
    page.configures(customer, BY_NAME)
    page.promises(UNSIGNED, pull(customer, ours.reference, code=125))
    page.configures(customer, BY_NAME, MIRRORED)
    customer("bash", "-ec", page.commands()[1])
    customer.forget()
    pull(customer, ours.pinned)
    copier("skopeo", "--insecure-policy", "copy", "--quiet", "--all", *on(mirror, TAG, "moved"))
    said = pull(customer, f"{publisher.name}:moved", code=125)
    assert f'Signature for identity "{ours.reference}" is not accepted' in said


def on(mirror: Registry, tag: str, other: str) -> tuple[str, str]:
    return f"docker://{mirror.host}/{NAME}:{tag}", f"docker://{mirror.host}/{NAME}:{other}"


def test_by_the_mirrors_name(
    machine: Callable[..., Customer], copier: Customer, publisher: Publisher, mirror: Registry, page: Page
) -> None:
    customer = machine(mirror)
    page.configures(customer, MIRRORED)
    assert "is rejected by policy" in pull(customer, f"{mirror.host}/{NAME}:{TAG}", code=125)
    page.configures(customer, MIRRORED, POLICY)
    pull(customer, f"{mirror.host}/{NAME}:{TAG}")
    customer.forget()
    pull(customer, f"{mirror.host}/{NAME}@{publisher.release(TAG).digest}")
    customer.forget()
    copier("skopeo", "--insecure-policy", "copy", "--quiet", "--all", *on(mirror, TAG, "renamed"))
    said = pull(customer, f"{mirror.host}/{NAME}:renamed", code=125)
    assert f'Signature for identity "{publisher.name}:{TAG}" is not accepted' in said


def test_many_tags_from_a_file(
    machine: Callable[..., Customer], publisher: Publisher, mirror: Registry, page: Page
) -> None:
    copier = machine(publisher.registry, mirror)
    page.configures(copier, MIRRORED)
    (listed,) = [text for text in page.text.split("```yaml\n") if text.startswith("registry.example.org:\n  images:")]
    listed = listed.partition("```")[0].replace("registry.example.org", publisher.registry.host)
    copier.write("home/tags.yaml", f"{listed}      - {OLD}\n")
    command = "skopeo sync --all --preserve-digests --src yaml --dest docker"
    assert f"`{command} tags.yaml mirror.example.net/wamp`" in page.text
    copier(*command.split(), "/root/tags.yaml", f"{mirror.host}/wamp/of-a-file")
    tags = (mirror.storage / "docker/registry/v2/repositories/wamp/of-a-file/crossbar/_manifests/tags").iterdir()
    names = {path.name for path in tags}
    for tag in (TAG, OLD):
        pushed = publisher.release(tag)
        signed = {f"{digest.replace(':', '-')}.sig" for digest in (pushed.digest, *pushed.platforms.values())}
        assert {tag, *signed} <= names
    assert not any(name.endswith(".att") for name in names), "as the page says"
    copier.trusts(publisher.registry.ca)
    copier.trusts(mirror.ca)
    copier("cosign", "copy", publisher.release(TAG).reference, f"{mirror.host}/wamp/by-cosign:{TAG}")
    verify = ("cosign", "verify-attestation", "--key", "/etc/pki/containers/crossbar.pub", "--insecure-ignore-tlog")
    copier(*verify, "--type", "cyclonedx", f"{mirror.host}/wamp/by-cosign:{TAG}")


@pytest.fixture(scope="module")
def carried(machine: Callable[..., Customer], publisher: Publisher, page: Page) -> Path:
    """Return the disk: what the page's command wrote, and the policy for the other side."""
    exporter = machine(publisher.registry)
    exporter.write(f"{CARRIED.removeprefix('/')}/policy.json", dict(page.files())[f"{CARRIED}/policy.json"])
    exporter("bash", "-ec", page.commands()[2])
    return exporter.folder / "srv"


@pytest.fixture
def importer(machine: Callable[..., Customer], carried: Path, mirror: Registry, page: Page) -> Customer:
    """Return a machine on the other side, with a copy of the disk."""
    importer = machine(mirror)
    page.configures(importer, MIRRORED)
    shutil.copytree(carried, importer.folder / "srv", dirs_exist_ok=True)
    return importer


def test_from_a_disk_into_storage(importer: Customer, publisher: Publisher, page: Page) -> None:
    ours = publisher.release(TAG)
    importer("bash", "-ec", page.commands()[3])
    for reference in (ours.reference, ours.pinned):
        importer("podman", "image", "exists", reference)
    assert "is rejected by policy" in pull(importer, f"dir:{CARRIED}/crossbar", code=125)


def test_podman_takes_it_by_the_same_policy(importer: Customer, page: Page) -> None:
    importer.write("etc/containers/policy.json", dict(page.files())[f"{CARRIED}/policy.json"])
    pull(importer, f"dir:{CARRIED}/crossbar")
    importer.forget()
    importer("podman", "load", "--input", f"{CARRIED}/crossbar")


def test_into_a_registry(importer: Customer, publisher: Publisher, mirror: Registry, page: Page) -> None:
    page.configures(importer, MIRRORED, POLICY)
    importer("bash", "-ec", page.commands()[4])
    pull(importer, f"{mirror.host}/{NAME}@{publisher.release(TAG).digest}")


def test_another_release_in_its_place(
    machine: Callable[..., Customer], importer: Customer, publisher: Publisher, page: Page
) -> None:
    exporter = machine(publisher.registry)
    (exporter.folder / "srv/carried").mkdir()
    exporter("bash", "-ec", page.commands()[2].replace(TAG, OLD))
    shutil.rmtree(importer.folder / "srv/carried/crossbar")
    shutil.copytree(exporter.folder / "srv/carried/crossbar", importer.folder / "srv/carried/crossbar")
    said = importer("bash", "-c", page.commands()[3], code=1)
    assert f'Signature for identity "{publisher.name}:{OLD}" is not accepted' in said.replace("\\", "")


def test_changed_on_the_way(importer: Customer, publisher: Publisher, page: Page) -> None:
    folder = importer.folder / "srv/carried/crossbar"
    (config,) = [path for path in folder.iterdir() if path.read_bytes().startswith(b'{"architecture":"amd64"')]
    (manifest,) = [path for path in folder.glob("*.manifest.json") if config.name in path.read_text()]
    layer = folder / json.loads(manifest.read_text())["layers"][0]["digest"].removeprefix("sha256:")
    changes = {
        config: (config.read_bytes().replace(b"/file0", b"/evil0"), "Download config.json digest sha256:"),
        layer: (gzip.compress(b"else"), "Digest did not match, expected sha256:"),
        manifest: (
            manifest.read_bytes().replace(b'"size":', b'"Size":'),
            "Manifest does not match provided manifest digest sha256:",
        ),
    }
    for path, (evil, reason) in changes.items():
        good = path.read_bytes()
        path.write_bytes(evil)
        assert reason in importer("bash", "-c", page.commands()[3], code=1)
        path.write_bytes(good)
    for signature in folder.glob("*signature-1"):
        signature.unlink()
    assert UNSIGNED in importer("bash", "-c", page.commands()[3], code=1)


def test_what_loses_signatures(
    machine: Callable[..., Customer], publisher: Publisher, pulling: Page, page: Page
) -> None:
    customer = machine(publisher.registry)
    ours = publisher.release(TAG).reference
    for place in ("oci:/srv/x:1", "oci-archive:/srv/x.tar", f"docker-archive:/srv/y.tar:{ours}"):
        said = customer("skopeo", "copy", "--quiet", f"docker://{ours}", place, code=1)
        assert "Can not copy signatures to" in said
        if place.startswith("oci"):
            page.promises("Pushing signatures for OCI images is not supported", said)
    pull(customer, ours)
    saved = ("podman", "save", "--quiet", "--format", "oci-archive", "--output", "/srv/saved.tar", ours)
    assert "is rejected by policy" in customer(*saved, code=125)
    policy = json.loads(dict(pulling.files())[POLICY])
    anything = '"containers-storage": {"": [{"type": "insecureAcceptAnything"}]}'
    assert f"`{anything}`" in pulling.text
    policy["transports"] |= json.loads(f"{{{anything}}}")
    (signed,) = json.loads(dict(page.files())[f"{CARRIED}/policy.json"])["transports"]["dir"].values()
    policy["transports"]["oci-archive"] = {"": signed}
    customer.write("etc/containers/policy.json", json.dumps(policy))
    customer(*saved)
    customer.forget()
    page.promises(UNSIGNED, customer("podman", "load", "--input", "/srv/saved.tar", code=125))

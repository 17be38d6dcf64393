"""What podman, skopeo and cosign make of our images under the documentation's own policy: ours only."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.programs import program
from tests.contract.images.publisher import NAME, OLD, TAG, Page, a_key, visitor

from elpack.images.oci import digest_of
from elpack.steps.images.archive import Archive
from elpack.steps.images.joint import write_joint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.images.newer import Customer, Newer
    from tests.contract.images.publisher import Publisher

pytestmark = pytest.mark.root

PLATFORM, OTHER = "linux/amd64", "linux/arm64"
if os.uname().machine == "aarch64":
    PLATFORM, OTHER = OTHER, PLATFORM
UNSIGNED = "A signature was required, but no signature exists"
KEY = '"keyPath": "/etc/pki/containers/crossbar.pub"'
NOT_FOR_THIS_NAME = 'Signature for identity "…" is not accepted'


@pytest.fixture
def page(publisher: Publisher) -> Page:
    return Page("pull-and-verify-images.md", public=publisher.registry.host)


@pytest.fixture
def customer(newer: Newer, publisher: Publisher, page: Page, tmp_path: Path) -> Customer:
    """Return a machine that was set up as the page says."""
    customer = visitor(newer, tmp_path / "customer", publisher.registry)
    customer.write("etc/pki/containers/crossbar.pub", publisher.key.public.pem.decode())
    page.configures(customer)
    return customer


def pull(customer: Customer, reference: str) -> str:
    """Pull what is accepted; return the image's number, which is its configuration's digest."""
    return customer("podman", "pull", "--quiet", reference).splitlines()[-1]


def refusal(customer: Customer, reference: str) -> str:
    """Pull what is refused; return what podman says. Nothing stays behind."""
    said = customer("podman", "pull", "--quiet", reference, code=125)
    assert not customer("podman", "images", "--all", "--quiet")
    return said


def test_the_tools_are_newer(customer: Customer) -> None:
    assert customer("podman", "--version").startswith("podman version 5.")
    assert customer("skopeo", "--version").startswith("skopeo version 1.18")


def test_ours_is_accepted_by_tag_and_by_digest(customer: Customer, publisher: Publisher, page: Page) -> None:
    ours = publisher.release(TAG)
    wanted = publisher.manifest(ours, PLATFORM)["config"]
    for reference in (ours.reference, ours.pinned, f"{publisher.name}@{ours.platforms[PLATFORM]}"):
        customer.forget()
        assert f"sha256:{pull(customer, reference)}" == wanted["digest"], reference
    customer.forget()
    (by_tag,) = [block for block in page.commands() if block.startswith("podman pull") and TAG in block]
    customer("bash", "-ec", by_tag)
    shown = customer("podman", "image", "inspect", "--format", "{{.Architecture}} {{.RepoDigests}}", ours.reference)
    assert shown.split()[0] == PLATFORM.rpartition("/")[2]
    known = set(shown.partition("[")[2].strip("]\n").split())
    assert known == {ours.pinned, f"{publisher.name}@{ours.platforms[PLATFORM]}"}  # in podman's own order


@pytest.mark.parametrize("platform", [PLATFORM, OTHER])
def test_each_platform_gets_its_own_image(customer: Customer, publisher: Publisher, platform: str) -> None:
    ours, architecture = publisher.release(TAG), platform.rpartition("/")[2]
    wanted = publisher.manifest(ours, platform)["config"]["digest"]
    for reference in (ours.reference, ours.pinned):
        customer.forget()
        found = customer("podman", "pull", "--quiet", "--platform", platform, reference).splitlines()[-1]
        assert f"sha256:{found}" == wanted, reference
        shown = customer("podman", "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", found)
        assert shown.strip() == platform
    place = f"dir:/srv/{architecture}"
    customer("skopeo", "--override-arch", architecture, "copy", "--quiet", f"docker://{ours.reference}", place)
    manifest = json.loads((customer.folder / "srv" / architecture / "manifest.json").read_text())
    layer = customer.folder / "srv" / architecture / manifest["layers"][1]["digest"].partition(":")[2]
    assert program(architecture) in gzip.decompress(layer.read_bytes())
    said = customer("skopeo", "--override-arch", architecture, "inspect", f"docker://{ours.reference}")
    assert json.loads(said)["Architecture"] == architecture


def test_one_archive_of_all_platforms_is_what_was_pushed(customer: Customer, publisher: Publisher) -> None:
    ours, name = publisher.release(TAG), "oci-archive:/srv/whole.oci.tar"
    whole = customer.folder / "srv/whole.oci.tar"
    write_joint([Archive(path) for path in publisher.archives(f"{NAME} {TAG}")], whole)
    assert Archive(whole).digest == ours.digest
    customer.write("srv/any.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
    loaded = customer(
        "podman", "load", "--quiet", "--signature-policy", "/srv/any.json", "--input", "/srv/whole.oci.tar"
    )
    assert publisher.manifest(ours, PLATFORM)["config"]["digest"] in loaded
    for platform, digest in ours.platforms.items():
        architecture = platform.rpartition("/")[2]
        words = ("skopeo", "--insecure-policy", "--override-arch", architecture, "copy", "--quiet")
        customer(*words, name, f"dir:/srv/from-{architecture}")
        manifest = (customer.folder / f"srv/from-{architecture}/manifest.json").read_bytes()
        assert digest_of(manifest) == digest
    place = f"{publisher.registry.host}/wamp/carried:1"
    customer("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", name, f"docker://{place}")
    with publisher.repository("wamp/carried") as repository:
        assert repository.digest("1") == ours.digest


def test_a_changed_manifest_of_one_platform_is_refused_there(
    customer: Customer, publisher: Publisher, page: Page
) -> None:
    """The index is changed with it: podman does not judge that one, but the other platform's image is what it was."""
    ours = publisher.release("one-platform")
    forged = publisher.forged("one-platform", ours, OTHER)
    said = customer("podman", "pull", "--quiet", "--platform", OTHER, forged, code=125)
    page.promises("Signature for digest sha256:… does not match", said)
    assert not customer("podman", "images", "--all", "--quiet")
    assert pull(customer, forged)
    assert customer("podman", "pull", "--quiet", "--platform", OTHER, ours.pinned), "a pull by digest leads to ours"


def test_the_documented_fingerprint_is_the_one_that_elpack_prints(
    customer: Customer, publisher: Publisher, page: Page
) -> None:
    assert customer("bash", "-ec", page.commands()[0]).split()[0] == publisher.release(TAG).fingerprint


def test_unsigned(customer: Customer, publisher: Publisher, page: Page) -> None:
    publisher.unsigned("unsigned")
    page.promises(UNSIGNED, refusal(customer, f"{publisher.name}:unsigned"))


def test_signed_by_another_key(customer: Customer, publisher: Publisher, page: Page) -> None:
    foreign = publisher.release("foreign", key=a_key())
    said = refusal(customer, foreign.reference)
    page.promises("cryptographic signature verification failed: invalid signature", said)


def test_a_changed_manifest_with_the_good_ones_signature(customer: Customer, publisher: Publisher, page: Page) -> None:
    ours = publisher.release(TAG)
    forged = publisher.forged("forged", ours, PLATFORM)
    page.promises("Signature for digest sha256:… does not match", refusal(customer, forged))


def test_a_tag_that_was_moved_to_an_older_release(customer: Customer, publisher: Publisher, page: Page) -> None:
    old = publisher.release(OLD)
    moved = publisher.moved("26.11.1-1.el9-uv", old)
    said = refusal(customer, moved)
    page.promises(NOT_FOR_THIS_NAME, said)
    assert f'"{old.reference}"' in said
    assert pull(customer, f"{moved}@{old.digest}"), "a tag beside a digest is not looked at"


def test_an_image_of_the_same_publisher_under_another_name(
    newer: Newer, customer: Customer, publisher: Publisher, page: Page, tmp_path: Path
) -> None:
    theirs = publisher.release(TAG, "wamp/other")
    page.promises("Running image docker://… is rejected by policy", refusal(customer, theirs.reference))
    attacker = visitor(newer, tmp_path / "attacker", publisher.registry)
    host = publisher.registry.host
    everywhere = f"docker: {{'{host}': {{use-sigstore-attachments: true}}}}"
    attacker.write("etc/containers/registries.d/all.yaml", everywhere)
    names = (f"docker://{theirs.reference}", f"docker://{publisher.name}:replayed")
    attacker("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", *names)
    for reference in (f"{publisher.name}:replayed", f"{publisher.name}@{theirs.digest}"):
        said = refusal(customer, reference)
        page.promises(NOT_FOR_THIS_NAME, said)
        assert f'"{theirs.reference}"' in said


def test_a_changed_layer(customer: Customer, publisher: Publisher, page: Page) -> None:
    ours = publisher.release("layer")
    layer = publisher.manifest(ours, PLATFORM)["layers"][0]["digest"]
    publisher.stored(layer).write_bytes(gzip.compress(gzip.decompress(publisher.stored(layer).read_bytes()), 9))
    said = refusal(customer, ours.reference)
    page.promises("Digest did not match, expected sha256:…, got sha256:…", said)
    assert f"expected {layer}" in said


def test_a_changed_configuration(customer: Customer, publisher: Publisher, page: Page) -> None:
    ours = publisher.release("configuration")
    config = publisher.stored(publisher.manifest(ours, PLATFORM)["config"]["digest"])
    config.write_bytes(config.read_bytes().replace(b"/file0", b"/evil0"))
    promised = "Download config.json digest sha256:… does not match expected sha256:…"
    page.promises(promised, refusal(customer, ours.reference))


def test_a_manifest_for_another_digest(customer: Customer, publisher: Publisher, page: Page) -> None:
    ours, old = publisher.release("swapped"), publisher.release(OLD)
    publisher.stored(ours.digest).write_bytes(publisher.stored(old.digest).read_bytes())
    page.promises("Manifest does not match provided manifest digest sha256:…", refusal(customer, ours.pinned))


def test_the_platforms_own_signature_counts(customer: Customer, publisher: Publisher) -> None:
    """The index's says nothing to podman: without it all is well, and alone it does not help."""
    with publisher.repository() as repository:
        for tag, keeps in (("index-only", "digest"), ("platforms-only", "platforms")):
            ours = publisher.release(tag)
            gone = ours.platforms.values() if keeps == "digest" else [ours.digest]
            for digest in gone:
                link = publisher.registry.storage / f"docker/registry/v2/repositories/{NAME}/_manifests/tags"
                (link / f"{digest.replace(':', '-')}.sig" / "current" / "link").unlink()
            assert repository.digest(tag) == ours.digest
    assert UNSIGNED in refusal(customer, f"{publisher.name}:index-only")
    assert pull(customer, f"{publisher.name}:platforms-only")


def test_what_lacks_on_the_customers_machine(customer: Customer, publisher: Publisher, page: Page) -> None:
    reference = publisher.release(TAG).reference
    customer.write("etc/containers/registries.d/crossbar.yaml", "")
    page.promises(UNSIGNED, refusal(customer, reference))
    page.configures(customer)
    customer.write(
        "etc/containers/policy.json", dict(page.files())["/etc/containers/policy.json"].replace("bar.pub", "bar.x")
    )
    assert "open /etc/pki/containers/crossbar.x: no such file or directory" in refusal(customer, reference)


def test_other_identities_are_too_weak_or_too_strict(customer: Customer, publisher: Publisher, page: Page) -> None:
    """What the page says of `signedIdentity`, and of two keys."""
    ours, old = publisher.release(TAG), publisher.release(OLD)
    moved = publisher.moved("moved", old)

    def requires(*more: str, key: str = KEY) -> None:
        policy = dict(page.files())["/etc/containers/policy.json"]
        customer.write("etc/containers/policy.json", policy.replace(KEY, ", ".join((key, *more))))

    requires('"signedIdentity": {"type": "matchRepository"}')
    assert pull(customer, ours.reference)
    assert pull(customer, moved)
    customer.forget()
    requires('"signedIdentity": {"type": "matchExact"}')
    page.promises(NOT_FOR_THIS_NAME, refusal(customer, ours.pinned))
    customer.write("etc/pki/containers/new.pub", a_key().public.pem.decode())
    requires(key='"keyPaths": ["/etc/pki/containers/new.pub", "/etc/pki/containers/crossbar.pub"]')
    assert pull(customer, ours.reference)


def test_another_platforms_manifest_is_warned_of(customer: Customer, publisher: Publisher, page: Page) -> None:
    """No policy refuses it: it is signed, and for this tag."""
    ours = publisher.release("lie")
    index = json.loads(publisher.stored(ours.digest).read_text())
    wrong = [entry for entry in index["manifests"] if entry["digest"] == ours.platforms[OTHER]]
    wrong[0]["platform"]["architecture"] = PLATFORM.rpartition("/")[2]
    with publisher.repository() as repository:
        repository.put_manifest("lie", json.dumps(index | {"manifests": wrong}).encode(), index["mediaType"])
    said = customer("podman", "pull", "--quiet", ours.reference)
    assert f"image platform ({OTHER}) does not match the expected platform ({PLATFORM})" in said
    customer.forget()
    assert pull(customer, ours.pinned)


def test_skopeo_judges_too_but_not_when_it_inspects(customer: Customer, publisher: Publisher) -> None:
    ours = publisher.release(TAG)
    publisher.unsigned("unsigned")
    customer("skopeo", "copy", "--quiet", f"docker://{ours.reference}", "dir:/tmp/image")
    refused = ("skopeo", "copy", "--quiet", f"docker://{publisher.name}:unsigned", "dir:/tmp/image")
    assert UNSIGNED in customer(*refused, code=1)
    customer("skopeo", "inspect", f"docker://{publisher.name}:unsigned")


class TestCosign:
    @pytest.fixture
    def verify(self, customer: Customer, publisher: Publisher, page: Page) -> Callable[..., str]:
        """Return a function that runs the page's commands, of this number, on a tag."""
        customer.trusts(publisher.registry.ca)
        blocks = [block for block in page.commands() if "cosign" in block]

        def run(tag: str, *numbers: int, code: int = 0) -> str:
            head, *rest = blocks[0].splitlines(keepends=True)
            script = [head.replace(TAG, tag), *(rest if 0 in numbers else ()), *(blocks[n] for n in numbers if n)]
            return customer("bash", "-c", f"set -e -o pipefail; cd; {''.join(script)}", code=code)

        return run

    def test_ours(self, verify: Callable[..., str], publisher: Publisher, tmp_path: Path) -> None:
        assert verify(TAG, 0).splitlines()[-1] == publisher.release(TAG).digest
        verify(TAG, 1)
        home = tmp_path / "customer" / "home"
        assert json.loads((home / "crossbar.cdx.json").read_text())["bomFormat"] == "CycloneDX"
        assert "buildDefinition" in json.loads((home / "crossbar.provenance.json").read_text())

    def test_others(self, verify: Callable[..., str], publisher: Publisher, page: Page) -> None:
        publisher.unsigned("unsigned")
        publisher.release("foreign", key=a_key())
        page.promises("no signatures found", verify("unsigned", 0, code=4))
        page.promises("no matching signatures: …", verify("foreign", 0, code=4))
        page.promises("no matching attestations", verify("foreign", 1, code=1))

    def test_it_does_not_compare_names_so_the_page_does(self, verify: Callable[..., str], publisher: Publisher) -> None:
        moved = publisher.moved("moved-for-cosign", publisher.release(OLD)).rpartition(":")[2]
        said = verify(moved, 0, code=1)
        assert "The signatures were verified against the specified public key" in said
        assert said.splitlines()[-1] == "null"

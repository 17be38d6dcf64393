from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.image_results import RELEASE, results

from elpack.errors import ImageError, RegistryError, SigningError
from elpack.images.annotations import stem_of, tag_of
from elpack.images.model import Flavour, Images
from elpack.sigstore import CYCLONEDX, SLSA, new_key, read_signing_key
from elpack.steps.images.image_keys import from_file, handed_key, image_key, public_key, shown_key
from elpack.steps.images.offers import offers, refuse_throwaway, repository_of
from elpack.steps.images.ready import Wanted
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.config import Release


X86 = Wanted(arches=["x86_64"])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


def test_one_tag_has_all_architectures(tmp_path: Path) -> None:
    folders = [results(tmp_path, "aarch64"), results(tmp_path)]
    rpm, uv = offers(tmp_path, RELEASE, Wanted())
    assert (rpm.tag, uv.tag) == ("26.10.1-1.el9-rpm", "26.10.1-1.el9-uv")
    assert uv.archives == [folder / "images/crossbar-26.10.1-1.el9-uv.oci.tar" for folder in folders]
    (single,) = offers(tmp_path, RELEASE, Wanted("el9", [Flavour.UV], ["aarch64"]))
    assert (single.archives, list(single.predicates)) == (uv.archives[:1], ["linux/arm64"])
    assert uv.predicates["linux/arm64"] == {CYCLONEDX: {"bomFormat": "CycloneDX"}, SLSA: {"arch": "aarch64"}}
    assert list(uv.predicates) == ["linux/arm64", "linux/amd64"]


def test_an_architecture_that_the_release_names_must_be_there(tmp_path: Path) -> None:
    """A tag is never moved, so it cannot be completed."""
    results(tmp_path)
    with pytest.raises(ImageError) as caught:
        offers(tmp_path, RELEASE, Wanted())
    assert [problem.what for problem in caught.value.problems] == [
        "there is an image for x86_64, and none for aarch64"
    ] * 2
    assert "elpack image build --target el9 --arch aarch64; or push --arch x86_64" in caught.value.problems[0].fix
    with pytest.raises(ImageError, match="none for aarch64"):
        offers(tmp_path, RELEASE, Wanted(arches=["x86_64", "aarch64"]))
    assert len(offers(tmp_path, RELEASE, X86)) == 2


def test_a_statement_about_nothing_is_not_attested(tmp_path: Path) -> None:
    results(tmp_path, statement={"predicate": None})
    with pytest.raises(ImageError, match="no statement with a predicate"):
        offers(tmp_path, RELEASE, X86)


def test_targets_and_flavours_can_be_left_out(tmp_path: Path) -> None:
    results(tmp_path)
    assert [one.tag for one in offers(tmp_path, RELEASE, Wanted(flavours=[Flavour.UV], arches=["x86_64"]))] == [
        "26.10.1-1.el9-uv"
    ]
    with pytest.raises(ImageError, match="no images for el8"):
        offers(tmp_path, RELEASE, Wanted("el8"))
    with pytest.raises(ImageError, match="elpack image build makes them"):
        offers(tmp_path / "nothing", RELEASE, Wanted())
    with pytest.raises(ImageError, match="no images for el9 and riscv64"):
        offers(tmp_path, RELEASE, Wanted("el9", arches=["riscv64"]))


def test_what_was_changed_is_not_pushed(tmp_path: Path) -> None:
    folder = results(tmp_path)
    (folder / "images/crossbar-26.10.1-1.el9-uv.oci.tar").write_text("other")
    (folder / "images/crossbar-26.10.1-1.el9-rpm.cdx.json").unlink()
    with pytest.raises(ImageError) as caught:
        offers(tmp_path, RELEASE, X86)
    assert [problem.what for problem in caught.value.problems] == [
        "it is not there",
        "it is not what the manifest lists",
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [({"standin": True}, "made of the stand-in"), ({"throwaway": True}, "a throwaway key signed the packages")],
)
def test_snapshots_are_pushed_as_such_only(tmp_path: Path, found: dict[str, bool], words: str) -> None:
    results(tmp_path, **found)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=words):
        offers(tmp_path, RELEASE, X86)
    assert len(offers(tmp_path, RELEASE, X86, snapshot=True)) == 2


def test_results_that_nobody_signed_are_never_pushed(tmp_path: Path) -> None:
    results(tmp_path, fingerprint="")
    with pytest.raises(ImageError, match="are not signed"):
        offers(tmp_path, RELEASE, X86, snapshot=True)


def test_the_place_is_the_named_one_or_the_release_s() -> None:
    assert RELEASE.images
    own = replace(RELEASE, images=replace(RELEASE.images, repository="registry.example.org/shop/app"))
    assert repository_of(own, "")[1] == "registry.example.org/shop/app"
    assert repository_of(own, "localhost:5000/app")[1] == "localhost:5000/app"
    for to in ("app", "registry.example.org/app:1.0", "https://registry.example.org/app"):
        with pytest.raises(RegistryError, match="--to"):
            repository_of(own, to)
    with pytest.raises(RegistryError, match="nobody says where to push"):
        repository_of(replace(RELEASE, images=replace(RELEASE.images, repository="")), "")
    with pytest.raises(ImageError, match="the release makes no images"):
        repository_of(replace(RELEASE, images=None), "localhost:5000/app")


def test_a_throwaway_key_is_made_once_and_nobody_else_reads_it(workspace: Workspace) -> None:
    key = image_key(workspace, Images())
    assert key.throwaway
    assert workspace.image_key.stat().st_mode & 0o777 == 0o600
    assert image_key(workspace, Images()).public.fingerprint == key.public.fingerprint
    refuse_throwaway(key, snapshot=True)
    with pytest.raises(SigningError, match="never a release"):
        refuse_throwaway(key, snapshot=False)


def test_a_named_key_goes_before_that_of_the_release(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("own.key", "other.key"):
        (tmp_path / name).write_bytes(new_key())
    images = Images(key="own.key")
    own, other = image_key(workspace, images), image_key(workspace, images, str(tmp_path / "other.key"))
    assert own.public.fingerprint != other.public.fingerprint
    with pytest.raises(SigningError, match="the key of images cannot be read: No such file"):
        image_key(workspace, Images(key="none.key"))


ENCRYPTED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_an_encrypted_key_is_shown_by_what_lies_beside_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSIGN_PASSWORD", raising=False)
    (tmp_path / "image.key").write_text(ENCRYPTED)
    images, release = Images(key="image.key"), _with_images(Images(key="image.key"))
    assert public_key(workspace, images) is None
    assert handed_key(workspace, release) is None
    assert shown_key(workspace, images).state == "encrypted"
    with pytest.raises(SigningError, match="COSIGN_PASSWORD"):
        image_key(workspace, images)
    public = read_signing_key(new_key(), bytes).public
    (tmp_path / "image.pub").write_bytes(public.pem)
    assert shown_key(workspace, images).fingerprint == public.fingerprint
    handed = handed_key(workspace, release)
    assert handed
    assert (handed.name, handed.read_bytes()) == (f"{RELEASE.name}.pub", public.pem)


def _with_images(images: Images) -> Release:
    return replace(RELEASE, images=images)


def test_a_key_that_cannot_be_used_is_shown_as_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "image.key").write_text("no key")
    shown = shown_key(workspace, Images(key="image.key"))
    assert (shown.state, shown.fingerprint) == ("refused", "")
    assert "no private key in PEM form" in shown.problems[0].what


def test_a_passphrase_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a word with blanks \nmore\n")
    assert from_file(tmp_path / "file") == b"a word with blanks "
    with pytest.raises(SigningError, match="the passphrase cannot be read"):
        from_file(tmp_path)


def test_the_name_of_a_file_leads_to_the_tag_and_back() -> None:
    assert tag_of("my-app", stem_of("my-app", "1-1.el9-uv")) == "1-1.el9-uv"
    with pytest.raises(ImageError, match="its name does not begin with my-app-"):
        tag_of("my-app", "other-1-1.el9-uv")

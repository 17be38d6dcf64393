"""Images of all architectures put together: one archive, the index of a push, and results that fit their neighbours."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.image_results import FINGERPRINT, RELEASE, results

from elpack.errors import ImageError, PublishError, VerifyError
from elpack.listed import ALL
from elpack.manifest import deviations, misplaced, named, read_manifest, write_index, write_json
from elpack.steps.images.archive import Archive, index_of
from elpack.steps.images.joint import drop_stale, join_built, join_images, pushed_digest, stale, write_joint
from elpack.steps.images.ready import Wanted, ready_images

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.listed import Manifest
    from elpack.steps.images.joint import Joined

STEM = "crossbar-26.10.1-1.el9-uv"


@dataclass(frozen=True)
class Hand:
    """A signer whose signatures are words."""

    fingerprint: str = FINGERPRINT
    throwaway: bool = False

    @property
    def key(self) -> SimpleNamespace:
        return SimpleNamespace(fingerprint=self.fingerprint)

    def public_keys(self) -> str:
        return "a public key\n"

    def file(self, path: Path) -> Path:
        path.with_name(f"{path.name}.asc").write_text("signed\n")
        return path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    for arch in ("x86_64", "aarch64"):
        results(tmp_path / "dist", arch)
    return tmp_path / "dist"


def join(dist: Path, hand: Hand | None = None) -> tuple[Joined, ...]:
    images = ready_images(dist, RELEASE, Wanted(), snapshot=True)
    return join_images(dist, images, hand or Hand())  # type: ignore[arg-type]


def read(dist: Path) -> Manifest:
    return read_manifest(dist / "el9" / ALL, VerifyError)


def single(dist: Path, arch: str) -> Archive:
    return Archive(dist / f"el9/{arch}/images/{STEM}.oci.tar")


def test_one_archive_has_the_images_of_all_platforms_as_they_are(dist: Path) -> None:
    rpm, uv = join(dist)
    assert (rpm.tag, uv.tag) == ("26.10.1-1.el9-rpm", "26.10.1-1.el9-uv")
    assert uv.archive == dist / f"el9/{ALL}/images/{STEM}.oci.tar"
    amd64, arm64 = single(dist, "x86_64"), single(dist, "aarch64")
    assert list(uv.platforms.items()) == [
        ("linux/amd64", amd64.images[0].descriptor.digest),
        ("linux/arm64", arm64.images[0].descriptor.digest),
    ]
    whole = Archive(uv.archive)
    assert [one.blobs for one in whole.images] == [amd64.images[0].blobs, arm64.images[0].blobs]
    for blob in (blob for one in whole.images for blob in one.blobs):
        assert sum(map(len, whole.pieces(blob))) == blob.size


def test_its_index_is_that_of_a_push_in_whatever_order_the_architectures_come(dist: Path, tmp_path: Path) -> None:
    archives = [single(dist, "x86_64"), single(dist, "aarch64")]
    (_, uv) = join(dist)
    assert Archive(uv.archive).index == index_of(archives) == index_of(archives[::-1])
    write_joint(archives[::-1], tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == uv.archive.read_bytes()


def test_its_results_are_results_as_others_are(dist: Path) -> None:
    join(dist)
    listed = read(dist)
    assert {file.kind for file in listed.files} == {"image"}
    assert not list(misplaced(dist / "el9" / ALL, listed, "manifest.json"))
    assert not list(deviations(dist / "el9" / ALL, listed))
    assert f'"el9/{ALL}"' in (dist / "manifest.json").read_text()
    assert [path.name for path in named(dist, "", "", "", VerifyError)] == ["aarch64", ALL, "x86_64"]
    assert [path.name for path in named(dist, "", "", "", VerifyError, packages=True)] == ["aarch64", "x86_64"]
    with pytest.raises(PublishError, match="nothing was handed over"):
        named(dist, "", ALL, "", PublishError, packages=True)


def test_what_is_there_as_it_was_is_not_written_again(dist: Path) -> None:
    assert [one.cached for one in join(dist)] == [False, False]
    assert [one.cached for one in join(dist)] == [True, True]
    (dist / f"el9/{ALL}/images/{STEM}.oci.tar").write_bytes(b"damaged")
    assert [one.cached for one in join(dist)] == [False, False]


def test_images_that_changed_take_what_was_made_of_them_away(dist: Path) -> None:
    join(dist)
    drop_stale(dist)
    assert (dist / "el9" / ALL).exists()
    other = dist / f"el9/aarch64/images/{STEM.replace('uv', 'rpm')}.oci.tar"
    shutil.copy(other, dist / f"el9/aarch64/images/{STEM}.oci.tar")
    (problem,) = stale(dist / "el9" / ALL)
    assert problem.what == f"{STEM}.oci.tar is not made of the image that lies beside it"
    drop_stale(dist)
    write_index(dist)
    assert not (dist / "el9" / ALL).exists()
    assert ALL not in (dist / "manifest.json").read_text()


def test_it_stands_for_itself_where_no_other_results_are(dist: Path) -> None:
    join(dist)
    for arch in ("x86_64", "aarch64"):
        shutil.rmtree(dist / "el9" / arch)
    assert not list(stale(dist / "el9" / ALL))


def test_who_signed_the_results_signs_them_together(dist: Path) -> None:
    with pytest.raises(ImageError, match=r"A{40} signed these results, and B{40} would sign them together"):
        join(dist, Hand("B" * 40))
    assert not (dist / "el9" / ALL).exists()


def test_one_architecture_is_no_whole(tmp_path: Path) -> None:
    results(tmp_path)
    with pytest.raises(ImageError, match="none for aarch64"):
        join(tmp_path)
    images = ready_images(tmp_path, RELEASE, Wanted(arches=["x86_64"]))
    with pytest.raises(ImageError, match="no image is of more than one architecture"):
        join_images(tmp_path, images, Hand())  # type: ignore[arg-type]


def test_a_flavour_of_one_architecture_alone_keeps_no_build_from_its_end(dist: Path) -> None:
    folder = dist / "el9/aarch64"
    listed = read_manifest(folder, ImageError)
    kept = tuple(file for file in listed.files if "-rpm." not in file.path)
    write_json(folder / "manifest.json", replace(listed, files=kept).as_json())
    with pytest.raises(ImageError, match="there is an image for x86_64, and none for aarch64"):
        join(dist)
    session = SimpleNamespace(
        signer=Hand(),
        workspace=SimpleNamespace(dist=dist),
        target=SimpleNamespace(name="el9"),
        project=SimpleNamespace(release=RELEASE),
    )
    assert [one.tag for one in join_built(session)] == ["26.10.1-1.el9-uv"]  # type: ignore[arg-type]
    session.signer = None
    assert join_built(session) == ()  # type: ignore[arg-type]


def test_what_is_no_file_is_not_waited_for(dist: Path) -> None:
    (_, uv) = join(dist)
    uv.archive.unlink()
    os.mkfifo(uv.archive)
    assert not list(stale(dist / "el9" / ALL))
    assert any(one.path.endswith("-uv.oci.tar") for one in deviations(dist / "el9" / ALL, read(dist)))


def test_a_damaged_layer_gets_into_no_archive(dist: Path, tmp_path: Path) -> None:
    archive = single(dist, "aarch64")
    content = archive.path.read_bytes()
    place = content.index(b"".join(archive.pieces(archive.images[0].blobs[-1])))
    archive.path.write_bytes(content[: place + 20] + b"\xff" + content[place + 21 :])
    with pytest.raises(ImageError, match="is another blob"):
        write_joint([single(dist, "x86_64"), Archive(archive.path)], tmp_path / "whole.tar")


def test_units_name_what_a_push_of_all_architectures_gives(dist: Path) -> None:
    (_, uv) = join(dist)
    session = SimpleNamespace(output=dist / "el9/x86_64", layout=RELEASE.layout)
    assert pushed_digest(session, single(dist, "x86_64")) == uv.index  # type: ignore[arg-type]
    shutil.rmtree(dist / "el9/aarch64")
    archive = single(dist, "x86_64")
    assert pushed_digest(session, archive) == archive.digest  # type: ignore[arg-type]

"""Images in results: added, listed, kept while they are of the same release, and gone when they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from elpack.errors import ImageError
from elpack.listed import Content, Listed, Manifest
from elpack.manifest import deviations, digest_of, list_files, read_manifest, write_json
from elpack.model import Layout
from elpack.steps.images.handover import add_images, keep_images

if TYPE_CHECKING:
    from pathlib import Path

RPM = "repo/a-1-1.noarch.rpm"
ARCHIVE = "app-1-1.el9-uv.oci.tar"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return results with one package, which nobody signed."""
    folder = tmp_path / "dist" / "el9" / "x86_64"
    return results(folder)


def results(folder: Path, package: bytes = b"package", release: str = "{}") -> Path:
    (folder / "repo").mkdir(parents=True)
    (folder / "logs").mkdir()
    (folder / "logs" / "kept").write_text("log")
    (folder / RPM).write_bytes(package)
    (folder / "release.json").write_text(release)
    manifest(folder)
    return folder


def manifest(folder: Path) -> Manifest:
    about = ("1.0", "shop", "1", Layout.STACK, "el9", "3.12", "x86_64")
    built = {"a-1-1.noarch.rpm": Listed("", Content(0, "0" * 64), node="stack/a", dist="a==1")}
    files = tuple(list_files(folder, built, signed=False))
    files = tuple(replace(one, built=content(folder / one.path)) if one.kind == "rpm" else one for one in files)
    made = Manifest(*about, standin=False, files=files)
    write_json(folder / "manifest.json", made.as_json())
    return made


def content(path: Path) -> Content:
    return Content(path.stat().st_size, digest_of(path))


def made(tmp_path: Path, text: str = "image") -> dict[str, Path]:
    path = tmp_path / "made" / ARCHIVE
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    return {ARCHIVE: path}


def test_images_are_listed_and_all_else_stays(tmp_path: Path, output: Path) -> None:
    before = read_manifest(output, ImageError)
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    after = read_manifest(output, ImageError)
    assert {file.path: file.kind for file in set(after.files) - set(before.files)} == {f"images/{ARCHIVE}": "image"}
    assert set(before.files) < set(after.files)
    assert list(deviations(output, after)) == []
    assert (output / "logs" / "kept").read_text() == "log"
    assert "images" in (tmp_path / "dist" / "manifest.json").read_text()


def test_the_same_again_changes_nothing_and_another_takes_its_place(tmp_path: Path, output: Path) -> None:
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    first = (output / "manifest.json").stat().st_ino
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    assert (output / "manifest.json").stat().st_ino == first
    add_images(tmp_path / "dist", output, made(tmp_path, "another"), None)
    assert (output / "images" / ARCHIVE).read_text() == "another"
    assert list(deviations(output, read_manifest(output, ImageError))) == []


def test_images_of_the_same_release_are_taken_over(tmp_path: Path, output: Path) -> None:
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    stage = results(tmp_path / "stage")
    listed = keep_images(output, stage, manifest(stage))
    assert (stage / "images" / ARCHIVE).samefile(output / "images" / ARCHIVE)
    assert list(deviations(stage, listed)) == []


@pytest.mark.parametrize("other", [{"package": b"other"}, {"release": '{"images": 1}'}])
def test_images_of_another_release_are_not(tmp_path: Path, output: Path, other: dict[str, bytes]) -> None:
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    stage = results(tmp_path / "stage", **other)  # type: ignore[arg-type]
    listed = manifest(stage)
    assert keep_images(output, stage, listed) == listed
    assert not (stage / "images").exists()


def test_damaged_images_are_not_taken_over(tmp_path: Path, output: Path) -> None:
    add_images(tmp_path / "dist", output, made(tmp_path), None)
    stage = results(tmp_path / "stage")
    (output / "images" / ARCHIVE).write_text("damage")
    listed = manifest(stage)
    assert keep_images(output, stage, listed) == listed
    (output / "manifest.json").write_text("{}")
    assert keep_images(output, stage, listed) == listed

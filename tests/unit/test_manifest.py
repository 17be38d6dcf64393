"""The manifest: what is written is read again, what nobody wrote is refused, and what lies there is held against it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from elpack.errors import SigningError
from elpack.listed import Content, Listed, Manifest, kind_of, parse_manifest
from elpack.manifest import Wrong, deviations, finished, list_files, read_manifest, write_json
from elpack.model import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
BUILT, SIGNED = Content(7, "7" * 64), Content(8, "8" * 64)
LISTED = {
    "repo/a-1-1.noarch.rpm": ("rpm", "a-1-1.noarch.rpm"),
    "repo/repodata/repomd.xml": ("repodata", "repodata/repomd.xml"),
    "debug/a-debuginfo-1-1.x86_64.rpm": ("debug-rpm", "a-debuginfo-1-1.x86_64.rpm"),
    "debug/repodata/repomd.xml": ("repodata", "debug/repodata/repomd.xml"),
    "srpms/a-1-1.src.rpm": ("srpm", "a-1-1.src.rpm"),
    "buildroot/a-1-1.src.rpm": ("buildroot-srpm", "a-1-1.src.rpm"),
    "buildroot/b-1-1.noarch.rpm": ("buildroot-rpm", "b-1-1.noarch.rpm"),
    "buildroot/repodata/repomd.xml": ("repodata", "buildroot/repodata/repomd.xml"),
    "specs/a.spec": ("spec", "a.spec"),
    "sbom/release.cdx.json": ("sbom", "sbom/release.cdx.json"),
    "provenance/stack.dsse.json": ("provenance", "provenance/stack.dsse.json"),
    "release.json": ("release", "release.json"),
}
BESIDE = {
    "manifest.json": "manifest",
    "manifest.json.asc": "signature",
    "debug/repodata/repomd.xml.asc": "signature",
    "RPM-GPG-KEY-shop": "keys",
    "shop.repo": "repo-file",
}
ELSEWHERE = (
    *(
        "surprise",
        "repo/sub/a.rpm",
        "repo/a.txt",
        "repo/.rpm",
        "repo/repodata/sub/x",
        "repo/repodata/repomd.xml/..",
        "a.rpm",
    ),
    *("sbom/..", "sbom/.", "sbom/", "/repo/a.rpm", "../repo/a.rpm", "repo/../../a.rpm", "repo//a.rpm", ""),
    *("srpms/a.rpm", "repo/repodata/../x", "./release.json", "release.json\n", "logs/x", "bundle/repo/a.rpm"),
)


def manifest_of(*files: Listed, fingerprint: str = "") -> Manifest:
    about = ("1.0", "shop", "26.10.1", Layout.STACK, "el9", "3.12", "x86_64")
    return Manifest(*about, standin=False, files=files, fingerprint=fingerprint, throwaway=bool(fingerprint))


def signed() -> Manifest:
    files = []
    for path, (kind, _) in LISTED.items():
        package = "rpm" in kind
        made = {"node": "stack/a", "dist": "a==1"} if package else {}
        files.append(Listed(path, BUILT, SIGNED if package else None, **made))
    return manifest_of(*sorted(files, key=lambda one: (one.kind, one.path)), fingerprint=KEY)


@pytest.mark.parametrize("path", LISTED)
def test_a_place_tells_kind_and_name(path: str) -> None:
    listed = Listed(path, BUILT)
    assert (listed.kind, listed.name) == LISTED[path]


@pytest.mark.parametrize("path", BESIDE)
def test_what_is_not_listed_has_a_kind_as_well(path: str) -> None:
    assert kind_of(path) == BESIDE[path]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_all_else_has_none(path: str) -> None:
    assert kind_of(path) == "other"


@pytest.mark.parametrize("manifest", [signed(), manifest_of(Listed("repo/a.rpm", BUILT)), manifest_of()])
def test_what_is_written_is_read(manifest: Manifest) -> None:
    text = json.dumps(manifest.as_json())
    assert parse_manifest(text) == manifest
    assert parse_manifest(text.encode()) == manifest


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    data = signed().as_json()
    change(data)
    return json.dumps(data)


def test_what_is_changed_here_is_read_when_it_is_not() -> None:
    assert parse_manifest(changed(lambda data: None)) == signed()


@pytest.mark.parametrize("key", sorted(signed().as_json().keys() - {"signing"}))
def test_no_key_may_be_missing_or_be_something_else(key: str) -> None:
    for change in (
        lambda data: data.pop(key),
        lambda data: data.update({key: None}),
        lambda data: data.update({key: 7}),
        lambda data: data.update({key: [[]]}),
        lambda data: data.update({key: "\ud800\n"}),
    ):
        with pytest.raises(ValueError, match=r"."):
            parse_manifest(changed(change))


@pytest.mark.parametrize(
    "path", [*ELSEWHERE, *BESIDE, 7, None, ["repo/a.rpm"], "sbom/a\nb", "sbom/\ud800", "sbom/\u202ex"]
)
def test_a_path_that_is_none(path: object) -> None:
    entry = {"kind": "sbom", "name": path, "path": path, **BUILT.as_json()}
    with pytest.raises(ValueError, match=r"no file that is listed lies at|path is no text"):
        parse_manifest(changed(lambda data: data["artefacts"].append(entry)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda entry: entry.update(kind="spec"), "it does not call repo/a-1-1.noarch.rpm a rpm"),
        (lambda entry: entry.update(name="b.rpm"), "it does not call"),
        (lambda entry: entry.pop("kind"), "KeyError.*kind"),
        (lambda entry: entry.update(size="7"), "no number of bytes"),
        (lambda entry: entry.update(size=-1), "no number of bytes"),
        (lambda entry: entry.update(size=True), "no number of bytes"),
        (lambda entry: entry.update(size=1.0), "no number of bytes"),
        (lambda entry: entry.update(sha256="A" * 64), "sha256 is none"),
        (lambda entry: entry.update(sha256="a" * 63), "sha256 is none"),
        (lambda entry: entry.pop("signed"), "no signed digest"),
        (lambda entry: entry.update(signed=[]), "not the form"),
        (lambda entry: entry["signed"].update(sha256=""), "sha256 is none"),
        (lambda entry: entry.update(node=7), "node is no text"),
    ],
)
def test_an_entry_that_is_none(change: Callable[[dict[str, Any]], object], why: str) -> None:
    def change_first(data: dict[str, Any]) -> None:
        change(next(entry for entry in data["artefacts"] if entry["kind"] == "rpm"))

    with pytest.raises(ValueError, match=why):
        parse_manifest(changed(change_first))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "not the form"),
        ("{}", "not the form"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": ' + "9" * 5000 + "}", "digits"),
        (b"\xff", "utf-8|UTF-8|codec"),
        (changed(lambda data: data.update(format=1)), "it has format 1, and this elpack reads 2"),
        (changed(lambda data: data["artefacts"].append(data["artefacts"][0])), "it lists a file twice"),
        (changed(lambda data: data.pop("signing")), "it has a signed digest of"),
        (changed(lambda data: data.update(signing={})), "KeyError"),
        (changed(lambda data: data.update(signing=[])), "not the form"),
        (changed(lambda data: data["signing"].update(fingerprint="")), "fingerprint is none"),
        (changed(lambda data: data["signing"].update(throwaway=0)), "neither true nor false"),
        (changed(lambda data: data.update(release="../../etc")), "not a valid RPM name"),
        (changed(lambda data: data.update(layout="other")), "not a valid Layout"),
    ],
)
def test_a_manifest_that_is_none(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_manifest(text)


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "fifo", "large", "old"])
def test_a_file_that_cannot_be_a_manifest(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        write_json(tmp_path / "other", manifest_of().as_json())
        path.symlink_to("other")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate((64 << 20) + 1)
    elif kind == "old":
        write_json(path, {**manifest_of().as_json(), "format": 1})
    with pytest.raises(SigningError, match="the manifest cannot be used") as caught:
        read_manifest(tmp_path, SigningError)
    (problem,) = caught.value.problems
    assert (problem.where, problem.fix) == (str(path), "elpack rpm writes it anew")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return results with all that is listed, and what else belongs to them."""
    for path in (*LISTED, "shop.repo", "logs/build/a.log", "bundle/repo/a.rpm"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    write_json(tmp_path / "manifest.json", listing(tmp_path).as_json())
    return tmp_path


def listing(folder: Path) -> Manifest:
    built = {name: Listed("", BUILT, node="stack/a", dist="a==1") for _, name in LISTED.values()}
    return manifest_of(*list_files(folder, built, signed=True), fingerprint=KEY)


def test_all_is_listed_but_what_lies_beside(results: Path) -> None:
    listed = read_manifest(results, SigningError)
    assert {file.path for file in listed.files} == LISTED.keys()
    assert [*deviations(results, listed)] == []


def found(results: Path, **how: bool) -> set[tuple[str, str]]:
    return {(one.path, one.wrong.name) for one in deviations(results, read_manifest(results, SigningError), **how)}


def test_all_deviations_at_once(results: Path) -> None:
    (results / "release.json").unlink()
    (results / "specs" / "a.spec").write_text("other")
    (results / "sbom" / "release.cdx.json").unlink()
    (results / "sbom" / "release.cdx.json").symlink_to("../specs/a.spec")
    os.mkfifo(results / "fifo")
    (results / "repo" / "link").symlink_to("/etc")
    (results / "repo" / ".hidden").write_text("x")
    (results / "surprise" / "deep").mkdir(parents=True)
    (results / "surprise" / "deep" / "x").write_text("x")
    (results / "shop-stack.repo").write_text("a second one")
    (results / "RPM-GPG-KEY-other").write_text("x")
    assert found(results) == {
        ("release.json", "MISSING"),
        ("specs/a.spec", "OTHER"),
        ("sbom/release.cdx.json", "NO_FILE"),
        ("fifo", "NO_FILE"),
        ("repo/link", "NO_FILE"),
        ("repo/.hidden", "MORE"),
        ("surprise/deep/x", "MORE"),
        ("shop-stack.repo", "MORE"),
        ("RPM-GPG-KEY-other", "MORE"),
    }


def test_of_another_file_size_and_digest_are_told(results: Path) -> None:
    listed = read_manifest(results, SigningError)
    (results / "release.json").write_text("x")
    (one,) = deviations(results, listed)
    assert one.wrong is Wrong.OTHER
    assert one.detail.startswith("it has 1 bytes with sha256 2d711642")
    assert "the manifest says 12 bytes with sha256" in one.detail


def test_signatures_and_keys_belong_to_signed_results_only(results: Path) -> None:
    paths = {path for path, kind in BESIDE.items() if kind in {"signature", "keys"}}
    for path in paths:
        (results / path).write_text("x")
    listed = read_manifest(results, SigningError)
    assert [*deviations(results, listed)] == []
    unsigned = replace(listed, fingerprint="", throwaway=False)
    assert {(one.path, one.wrong) for one in deviations(results, unsigned)} == {(path, Wrong.MORE) for path in paths}


def test_an_rpm_from_before_it_was_signed_is_one_only_where_that_is_asked_for(results: Path) -> None:
    listed = read_manifest(results, SigningError)
    path = results / "srpms" / "a-1-1.src.rpm"
    was = path.read_bytes()
    path.write_bytes(b"unsigned")
    content = Content(8, hashlib.sha256(b"unsigned").hexdigest())
    files = tuple(replace(file, built=content) if file.path.startswith("srpms/") else file for file in listed.files)
    told = replace(listed, files=files)
    assert [one.path for one in deviations(results, told)] == ["srpms/a-1-1.src.rpm"]
    assert [*deviations(results, told, before_signing=True)] == []
    path.write_bytes(was)
    assert [*deviations(results, told, before_signing=True)] == []


def test_finished_results_are_those_of_all_targets_and_layouts(tmp_path: Path) -> None:
    places = ("el9/x86_64", "el9/x86_64/bundle", "el9/aarch64")
    for place in (*places, "el9/.x86_64.new", "el9/.x86_64.old/bundle"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").write_text("{}")
    (tmp_path / "manifest.json").write_text("{}")
    assert {str(path.relative_to(tmp_path)) for path in finished(tmp_path)} == set(places)

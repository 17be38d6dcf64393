"""`elpack verify` on signed results: every kind of change is found, and all of them at once."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.contract.published import Factory, rewritten
from tests.signing import make_key, signer_of

from elpack.errors import VerifyError
from elpack.run import run
from elpack.steps.verify import verify
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.steps.sign import Signer

RPM = "repo/toy-1-1.noarch.rpm"


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Factory:
    needs("rpmbuild", "rpmsign", "rpmkeys", "gpg", "createrepo_c")
    home = tmp_path_factory.mktemp("verify")
    made = Factory(home, signer_of(home / "keys", make_key(home / "keys")))
    made.make("1")
    return made


@pytest.fixture
def results(factory: Factory, tmp_path: Path) -> Path:
    return shutil.copytree(factory.workspace.dist / "el9" / "x86_64", tmp_path / "el9" / "x86_64")


def problems(folder: Path, factory: Factory, *, unsigned: bool = False) -> dict[str, str]:
    """Return what verify finds wrong, by where."""
    with pytest.raises(VerifyError) as caught:
        verify(folder, (factory.signer.key.fingerprint,), unsigned=unsigned, runner=run)
    assert caught.value.exit_code == 28
    return {problem.where: problem.what for problem in caught.value.problems}


def test_what_was_handed_over_is_right(results: Path, factory: Factory) -> None:
    found = verify(results, (factory.signer.key.fingerprint,), unsigned=False, runner=run)
    assert found.kinds["rpm"] == 1
    assert found.kinds["srpm"] == 1
    assert (found.fingerprint, found.throwaway) == (factory.signer.key.fingerprint, False)


def test_results_of_one_target_under_the_name_of_another(results: Path, factory: Factory, tmp_path: Path) -> None:
    moved = shutil.copytree(results, tmp_path / "el8" / "x86_64")
    assert "its manifest is that of el9 x86_64" in problems(moved, factory)["manifest.json"]


def test_a_repo_file_that_leads_elsewhere(results: Path, factory: Factory) -> None:
    (repo,) = results.glob("*.repo")
    place = (results / "repo").parent.as_uri()
    text = repo.read_text()
    original = text[text.index("baseurl=") + 8 :].split("\n")[0].removesuffix("/repo")
    repo.write_text(text.replace(original, "http://evil.example"))
    assert "leads to http://evil.example, not to file://" in problems(results, factory)[repo.name]
    assert place.startswith("file://")


def test_a_flipped_byte(results: Path, factory: Factory) -> None:
    data = bytearray((results / RPM).read_bytes())
    data[-10] ^= 1
    (results / RPM).write_bytes(data)
    found = problems(results, factory)
    assert found.keys() == {RPM}


def test_all_at_once(results: Path, factory: Factory) -> None:
    (results / RPM).unlink()
    (results / "srpms" / "toy-1-1.src.rpm").write_bytes(b"")
    (results / "repo" / "evil.rpm").write_bytes(b"x")
    (results / "surprise").mkdir()
    (results / "surprise" / "file").write_text("x")
    (results / "repo" / "link").symlink_to("/etc/passwd")
    (results / "release.json").write_text("{}")
    (results / "manifest.json.asc").unlink()
    found = problems(results, factory)
    assert {
        RPM,
        "srpms/toy-1-1.src.rpm",
        "repo/evil.rpm",
        "surprise/file",
        "repo/link",
        "release.json",
        "manifest.json.asc",
    } <= found.keys()


def test_logs_and_other_layouts_are_not_looked_at(results: Path, factory: Factory) -> None:
    (results / "logs" / "more").write_text("x")
    (results / "bundle").mkdir()
    (results / "bundle" / "x").write_text("x")
    verify(results, (), unsigned=False, runner=run)


def listed_anew(results: Path, signer: Signer) -> None:
    """Let the manifest, signed by a signer, list all files as they are: what who has the key can do, or did wrong."""
    manifest = json.loads((results / "manifest.json").read_text())
    for entry in manifest["artefacts"]:
        data = (results / entry["path"]).read_bytes()
        entry.get("signed", entry).update({"size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    rewritten(results / "manifest.json", signer, artefacts=manifest["artefacts"])


def test_an_rpm_that_is_not_signed_is_found_by_rpm(results: Path, factory: Factory) -> None:
    unsigned = next(path for path in factory.built("1") if path.name == "toy-1-1.noarch.rpm")
    shutil.copyfile(unsigned, results / RPM)
    listed_anew(results, factory.signer)
    with pytest.raises(VerifyError) as caught:
        verify(results, (), unsigned=False, runner=run)
    assert {problem.where for problem in caught.value.problems} == {RPM}
    assert "rpm does not find a header signature" in str(caught.value)
    assert "it is not the file that the metadata describes" in str(caught.value)


def test_metadata_that_describe_another_rpm(results: Path, factory: Factory) -> None:
    primary = next((results / "repo" / "repodata").glob("*primary.xml.gz"))
    text = gzip.decompress(primary.read_bytes()).replace(b'ver="1"', b'ver="3"', 1)
    primary.write_bytes(gzip.compress(text))
    found = problems(results, factory)
    assert found[RPM] == "it is toy 0 1 1 noarch, and the metadata says toy 0 3 1 noarch"
    assert found[f"repo/repodata/{primary.name}"] == "it is not the file that repomd.xml describes"


@pytest.mark.parametrize("path", ["../../x", "/etc/passwd", "repo/../../x"])
def test_a_manifest_that_names_files_elsewhere(path: str, results: Path, factory: Factory) -> None:
    manifest = json.loads((results / "manifest.json").read_text())
    manifest["artefacts"][0]["path"] = path
    rewritten(results / "manifest.json", factory.signer, artefacts=manifest["artefacts"])
    assert "no file that is listed lies at" in problems(results, factory)[str(results / "manifest.json")]


def test_metadata_with_a_package_too_few(results: Path, factory: Factory) -> None:
    hidden = (results / RPM).rename(results / "hidden")
    shutil.rmtree(results / "repo" / "repodata")
    create_repository(results / "repo")
    hidden.rename(results / RPM)
    found = problems(results, factory)
    assert found[RPM] == "the metadata does not list it"
    assert found["repo/repodata/repomd.xml.asc"] == "the signature is missing"


@pytest.mark.parametrize(
    "evil", ['<!DOCTYPE x [<!ENTITY a "b">]><repomd/>', "<repomd", "", '<repomd xmlns="x"/>', "\x00"]
)
def test_metadata_that_no_one_can_read(evil: str, results: Path, factory: Factory) -> None:
    (results / "repo" / "repodata" / "repomd.xml").write_text(evil)
    assert "its metadata cannot be read" in problems(results, factory)["repo/repodata"]


def test_a_pipe_in_place_of_a_file_is_not_waited_for(results: Path, factory: Factory) -> None:
    for name in ("repo/repodata/repomd.xml", RPM):
        (results / name).unlink()
        os.mkfifo(results / name)
    found = problems(results, factory)
    assert found == dict.fromkeys(("repo/repodata/repomd.xml", RPM), "it is no regular file")


def test_another_key_beside_the_results(results: Path, factory: Factory, tmp_path: Path) -> None:
    """Everything replaced, key included: only who knows the release's key can tell."""
    evil = signer_of(tmp_path / "evil", make_key(tmp_path / "evil", bits=2048, user="Evil <evil@example.org>"))
    folder = Factory(tmp_path / "other", evil).make("1")
    assert verify(folder, (), unsigned=False, runner=run).fingerprint == evil.key.fingerprint
    assert "which is no key of the release" in problems(folder, factory)["manifest.json"]


def test_a_key_too_many_for_customers(results: Path, factory: Factory, tmp_path: Path) -> None:
    evil = signer_of(tmp_path / "evil", make_key(tmp_path / "evil", bits=2048, user="Evil <evil@example.org>"))
    key_file = results / "RPM-GPG-KEY-shop"
    key_file.write_text(key_file.read_text() + evil.public_keys())
    assert f"it holds {evil.key.fingerprint}" in problems(results, factory)["RPM-GPG-KEY-shop"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("repo_gpgcheck=1", "repo_gpgcheck=0"),
        ("\ngpgcheck=1", "\ngpgcheck=0"),
        ("RPM-GPG-KEY-shop", "RPM-GPG-KEY-evil"),
        ("gpgkey=file:///", "gpgkey=http://evil.example/ file:///"),
        ("enabled=1", "enabled=1\nsslverify=0"),
        ("[shop]", "[shop"),
        ("[shop]", "[more]\nbaseurl=http://evil.example/\n[shop]"),
    ],
)
def test_a_repo_file_that_checks_less(old: str, new: str, results: Path, factory: Factory) -> None:
    (path,) = results.glob("*.repo")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert problems(results, factory).keys() == {path.name}


def test_the_manifest_names_a_key_that_did_not_sign(results: Path, factory: Factory, tmp_path: Path) -> None:
    other = signer_of(tmp_path / "other", make_key(tmp_path / "other", bits=2048))
    other.file(results / "manifest.json")
    found = problems(results, factory)
    assert "it is no signature of the file" in found["manifest.json.asc"]


def test_signatures_that_were_taken_away(results: Path, factory: Factory) -> None:
    manifest = json.loads((results / "manifest.json").read_text())
    del manifest["signing"]
    for entry in manifest["artefacts"]:
        entry.pop("signed", None)
    (results / "manifest.json").write_text(json.dumps(manifest))
    found = problems(results, factory)
    assert found["manifest.json"] == "it is not signed"
    assert "manifest.json.asc" in problems(results, factory, unsigned=True)


def test_results_that_are_signed_are_not_taken_for_unsigned(results: Path, factory: Factory) -> None:
    assert "it is signed by" in problems(results, factory, unsigned=True)["manifest.json"]


def test_unsigned_results(factory: Factory) -> None:
    folder = factory.make("1", "el9/aarch64", signed=False)
    assert verify(folder, (), unsigned=True, runner=run).fingerprint == ""
    assert problems(folder, factory) == {"manifest.json": "it is not signed"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "[" * 100_000])
def test_a_manifest_that_is_none(text: str, results: Path, factory: Factory) -> None:
    (results / "manifest.json").write_text(text)
    assert "the manifest cannot be used" in problems(results, factory)[str(results / "manifest.json")]


def test_nothing_there(tmp_path: Path, factory: Factory) -> None:
    assert problems(tmp_path, factory) == {str(tmp_path): "nothing was handed over here"}

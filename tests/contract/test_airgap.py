"""Air-gap deliveries: made, verified by nothing but a host's own tools, installed where there is no network at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.contract.airgap.delivered import IMAGES, TOOLS, Delivered, Shop, new_shop, said
from tests.contract.customer import flip
from tests.signing import make_key, signer_of

from elpack.errors import PublishError, VerifyError
from elpack.run import run
from elpack.steps.airgap import Wish, deliver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.steps.airgap import Made

RPM = "repo/shop-1-1.noarch.rpm"
UNTRUSTED = "SHA256SUMS: so nothing in this folder was looked at any closer"
NOT_SIGNED = "SHA256SUMS: it is not signed by {}, or the signature or the key has expired"
CHANGED = "it is not the file that was signed"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Shop:
    needs(*TOOLS)
    made = new_shop(tmp_path_factory.mktemp("shop"))
    made.make("1")
    return made


@pytest.fixture(scope="module")
def made(shop: Shop) -> Made:
    return shop.delivery()


@pytest.fixture(scope="module")
def original(shop: Shop, made: Made, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return Delivered.unpacked(made, shop.signer, tmp_path_factory.mktemp("at") / "a stick")


@pytest.fixture
def delivered(original: Delivered, tmp_path: Path) -> Delivered:
    return original.copy(tmp_path / "another place")


def image_key(made: Made) -> str:
    return made.text.split("key of images\n    ")[1].split("\n")[0]


# --- made ------------------------------------------------------------------------------------------------------------


def test_the_same_release_gives_the_same_bytes(shop: Shop, made: Made) -> None:
    before = made.archive.read_bytes()
    made.archive.unlink()
    assert shop.delivery() == made
    assert made.archive.read_bytes() == before


def test_nothing_of_this_machine_is_in_the_archive(made: Made) -> None:
    with tarfile.open(made.archive) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "root", "root")}
    assert {member.mtime for member in members} == {1793491200}, "2026-11-01, the date of the release"
    runs = {member.name.partition("/")[2] for member in members if member.mode == 0o755}
    assert runs == {"verify", "install"}
    assert {member.name.partition("/")[0] for member in members} == {"shop-1-1.el9.x86_64"}


def test_what_is_carried_apart(made: Made, original: Delivered) -> None:
    text = made.fingerprints.read_text()
    assert text == made.text
    spaced = " ".join(original.key[at : at + 4] for at in range(0, 40, 4))
    assert f"release key\n    {spaced}\n" in text
    for path in (made.archive, original.folder / "verify", original.folder / "install"):
        assert f"sha256 of {path.name}\n    {hashlib.sha256(path.read_bytes()).hexdigest()}\n" in text


def test_results_that_are_not_signed_are_not_packed(tmp_path: Path, shop: Shop) -> None:
    other = Shop(tmp_path, shop.signer)
    other.make("1", signed=False)
    with pytest.raises(PublishError, match="these results are not signed") as caught:
        other.delivery()
    assert caught.value.exit_code == 29
    assert not list(other.workspace.dist.glob("*.tar"))


def test_results_of_another_key_are_not_packed(tmp_path: Path, shop: Shop) -> None:
    stranger = signer_of(tmp_path / "keys", make_key(tmp_path / "keys"))
    other = new_shop(tmp_path / "shop")
    other.make("1", signer=stranger)
    with pytest.raises(PublishError, match=f"{stranger.key.fingerprint} signed these results"):
        other.delivery()


def test_damaged_results_are_not_packed(tmp_path: Path, shop: Shop) -> None:
    folder = shutil.copytree(shop.folder, tmp_path / "dist" / "el9" / "x86_64")
    workspace = Shop(tmp_path, shop.signer).workspace
    shutil.copytree(shop.workspace.keys, workspace.keys)
    flip(folder / RPM, -10)
    with pytest.raises(VerifyError):
        deliver(shop.release(), workspace, Wish((folder,)), run)


def test_the_commands_of_the_readme_do_as_they_stand(original: Delivered, tmp_path: Path) -> None:
    text = (original.folder / "README").read_text()
    commands = "\n".join(line for line in text.partition("\n2. ")[0].splitlines() if line.startswith("    "))
    assert f"cd {original.folder.name}\n" in commands
    script = f"set -e\ncd '{original.folder.parent}'\n{commands}".replace("/var/tmp/airgap", f"{tmp_path}/keys")
    done = said("sh", "-c", script, HOME=str(tmp_path))
    assert done.code == 0, done.text
    assert "Good signature" in done.text
    assert " ".join(original.key[at : at + 4] for at in range(0, 20, 4)) in done.text
    assert "install: OK\nverify: OK\n" in done.text
    assert not (tmp_path / "keys").exists()


# --- verified --------------------------------------------------------------------------------------------------------


def test_a_delivery_is_as_it_was_signed(original: Delivered, made: Made) -> None:
    done = original.verify(" ".join(original.key[at : at + 4] for at in range(0, 40, 4)).lower(), image_key(made))
    assert done.code == 0, done.text
    assert f"shop 1-1 for el9 x86_64, layout stack: as it was signed by {original.key}" in done.text
    assert "1 RPMs, 2 images" in done.text
    assert "THROWAWAY" in done.text


def test_it_works_on_media_that_cannot_be_written_and_leaves_nothing(
    delivered: Delivered, original: Delivered, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for path in (delivered.folder, *delivered.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = delivered.verify(TMPDIR=str(scratch))
    finally:
        for path in (delivered.folder, *delivered.folder.rglob("*")):
            path.chmod(0o755)
    assert done.code == 0, done.text
    assert not list(scratch.iterdir())
    assert _names(delivered.folder) == _names(original.folder)


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_without_the_key_of_images_it_says_so(original: Delivered, made: Made) -> None:
    done = original.verify()
    assert done.code == 0
    assert f"note: the key of images, {image_key(made)}, was not compared" in done.text


@pytest.mark.parametrize("arguments", [(), ("1234",), ("x" * 40,), ("a" * 40, "b"), ("a" * 40, "b" * 64, "c")])
def test_wrong_usage(arguments: tuple[str, ...], original: Delivered) -> None:
    done = said("sh", str(original.folder / "verify"), *arguments)
    assert done.code == 2
    assert "usage: sh ./verify FINGERPRINT [IMAGE-KEY-FINGERPRINT]" in done.text


def test_a_tool_that_is_missing(original: Delivered, tmp_path: Path) -> None:
    for name in ("sh", "tr", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = said("sh", str(original.folder / "verify"), original.key, PATH=str(tmp_path))
    assert done.code == 3
    assert "verify: not installed:" in done.text
    assert "gpg" in done.text


def flipped(name: str, at: int = -10) -> Callable[[Path], None]:
    return lambda folder: flip(folder / name, at)


def _link(folder: Path) -> None:
    (folder / "sbom").mkdir()
    (folder / "sbom" / "link").symlink_to("/etc/passwd")


def _odd_name(folder: Path) -> None:
    (folder / "repo" / "a b\n;c").write_text("")


def _replaced_by_link(folder: Path) -> None:
    (folder / RPM).rename(folder.parent / "moved.rpm")
    (folder / RPM).symlink_to(folder.parent / "moved.rpm")


def _pipe(folder: Path) -> None:
    (folder / "SHA256SUMS.asc").unlink()
    os.mkfifo(folder / "SHA256SUMS.asc")


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        pytest.param(flipped(RPM), {f"{RPM}: {CHANGED}"}, id="rpm"),
        pytest.param(flipped(IMAGES[1], 700), {f"{IMAGES[1]}: {CHANGED}"}, id="image"),
        pytest.param(flipped("verify"), {f"verify: {CHANGED}"}, id="script"),
        pytest.param(lambda folder: (folder / RPM).unlink(), {f"{RPM}: it is missing"}, id="missing"),
        pytest.param(
            lambda folder: (folder / "repo" / "evil.rpm").write_text(""),
            {"repo/evil.rpm: it was not delivered: SHA256SUMS does not list it"},
            id="extra",
        ),
        pytest.param(_link, {"./sbom/link: it is a link or no plain file"}, id="link"),
        pytest.param(
            _replaced_by_link, {f"./{RPM}: it is a link or no plain file", f"{RPM}: it is missing"}, id="link outwards"
        ),
    ],
)
def test_one_change_is_found(
    change: Callable[[Path], None], problems: set[str], delivered: Delivered, tmp_path: Path
) -> None:
    # the script that was compared before is not the one that is changed
    script = shutil.copytree(delivered.folder, tmp_path / "trusted") / "verify"
    change(delivered.folder)
    if "verify" in str(problems):
        shutil.copyfile(script, delivered.folder / "checked")
        problems |= {"checked: it was not delivered: SHA256SUMS does not list it"}
        done = delivered.verify(script="checked")
    else:
        done = delivered.verify()
    assert done.code == 1
    assert done.problems == problems


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(flipped("SHA256SUMS", 3), id="list"),
        pytest.param(flipped("SHA256SUMS.asc", 200), id="signature"),
        pytest.param(_pipe, id="pipe"),
        pytest.param(lambda folder: (folder / "SHA256SUMS.asc").unlink(), id="no signature"),
        pytest.param(lambda folder: (folder / "SHA256SUMS").write_text("x\n"), id="no list"),
    ],
)
def test_a_list_that_was_not_signed_is_not_believed(change: Callable[[Path], None], delivered: Delivered) -> None:
    change(delivered.folder)
    done = delivered.verify()
    assert done.code == 1
    assert {NOT_SIGNED.format(delivered.key), UNTRUSTED} <= done.problems


def test_everything_that_is_wrong_is_told_at_once(delivered: Delivered) -> None:
    flip(delivered.folder / RPM, -10)
    (delivered.folder / "release.json").unlink()
    _odd_name(delivered.folder)
    _link(delivered.folder)
    done = delivered.verify()
    assert done.code == 1
    assert f"{RPM}: {CHANGED}" in done.problems
    assert "release.json: it is missing" in done.problems
    assert "./sbom/link: it is a link or no plain file" in done.problems
    assert any("such a name was not delivered" in problem for problem in done.problems)


def test_the_wrong_fingerprint(original: Delivered) -> None:
    wrong = "0" * 40
    done = original.verify(wrong)
    assert done.code == 1
    found = f"RPM-GPG-KEY-shop: it does not hold the key {wrong}, but: {original.key} "
    assert done.problems == {found.rstrip() + " ", UNTRUSTED} or done.problems == {found.rstrip(), UNTRUSTED}


def test_a_stranger_who_signs_all_anew(delivered: Delivered, tmp_path: Path) -> None:
    stranger = signer_of(tmp_path / "keys", make_key(tmp_path / "keys"))
    both = delivered.signer.public_keys() + stranger.public_keys()
    delivered.path("RPM-GPG-KEY-*").write_text(both)
    Delivered(delivered.folder, stranger, "").listed_anew()
    done = delivered.verify()
    assert done.code == 1
    assert NOT_SIGNED.format(delivered.key) in done.problems


def test_the_wrong_key_of_images(original: Delivered, made: Made) -> None:
    done = original.verify(original.key, "0" * 64)
    assert done.code == 1
    assert done.problems == {f"images/key.pub: its fingerprint is {image_key(made)}, not {'0' * 64}"}


def test_an_earlier_release_is_told_by_its_own_name_whatever_its_folder_is_called(
    delivered: Delivered, tmp_path: Path
) -> None:
    newer = delivered.folder.rename(delivered.folder.with_name("shop-2-1.el9.x86_64"))
    done = Delivered(newer, delivered.signer, delivered.key).verify()
    assert done.code == 1
    assert done.problems == {"shop-2-1.el9.x86_64: it is shop-1-1.el9.x86_64, under another name"}
    # under a name of the customer's own nothing is wrong with it: it is what was signed, and says which version it is
    elsewhere = newer.rename(newer.with_name("newest"))
    done = Delivered(elsewhere, delivered.signer, delivered.key).verify()
    assert done.code == 0
    assert "shop 1-1 for el9 x86_64" in done.text


# --- what the release key signed by mistake --------------------------------------------------------------------------


def test_an_rpm_without_signature_in_a_signed_list(delivered: Delivered, shop: Shop) -> None:
    unsigned = next(path for path in shop.built("1") if path.name == "shop-1-1.noarch.rpm")
    shutil.copyfile(unsigned, delivered.folder / RPM)
    done = delivered.listed_anew().verify()
    assert done.problems == {f"{RPM}: rpm does not find it signed by {delivered.key}"}


def test_metadata_without_signature_in_a_signed_list(delivered: Delivered) -> None:
    (delivered.folder / "repo" / "repodata" / "repomd.xml.asc").unlink()
    done = delivered.listed_anew().verify()
    wrong = "repo/repodata/repomd.xml: the signature is missing, not by the key, or expired"
    assert done.problems == {wrong}


def rewritten(archive: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the files of an image's archive."""
    with tarfile.open(archive) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    change(files)
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def layer(files: dict[str, bytes]) -> str:
    """Return the name of a layer's blob."""
    return next(name for name, content in files.items() if content.startswith(b"\x1f\x8b"))


def _other_layer(files: dict[str, bytes]) -> None:
    files[layer(files)] += b"x"


def _no_layer(files: dict[str, bytes]) -> None:
    del files[layer(files)]


def _more(files: dict[str, bytes]) -> None:
    files[f"blobs/sha256/{hashlib.sha256(b'x').hexdigest()}"] = b"x"


def _outside(files: dict[str, bytes]) -> None:
    files["../evil"] = b"x"


def _another_index(files: dict[str, bytes]) -> None:
    top = json.loads(files["index.json"])
    name = f"blobs/{top['manifests'][0]['digest'].replace(':', '/')}"
    index = json.dumps(json.loads(files.pop(name)) | {"annotations": {"more": "than was signed"}}).encode()
    digest = hashlib.sha256(index).hexdigest()
    files[f"blobs/sha256/{digest}"] = index
    top["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(index)}
    files["index.json"] = json.dumps(top).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_other_layer, "is not what is there", id="layer"),
        pytest.param(_no_layer, "is named and missing", id="missing"),
        pytest.param(_more, "nothing names sha256:2d711642", id="extra"),
        pytest.param(_outside, "it holds what no OCI archive holds", id="outside"),
        pytest.param(_another_index, "has no signature", id="index"),
    ],
)
def test_an_image_that_is_not_whole_in_a_signed_list(
    change: Callable[[dict[str, bytes]], None], words: str, delivered: Delivered
) -> None:
    rewritten(delivered.folder / IMAGES[0], change)
    done = delivered.listed_anew().verify()
    assert done.code == 1
    assert any(problem.startswith(f"{IMAGES[0]}: ") and words in problem for problem in done.problems), done.text
    assert not any(problem.startswith(IMAGES[1]) for problem in done.problems)


def test_signatures_of_images_that_were_exchanged(delivered: Delivered) -> None:
    payloads = sorted((delivered.folder / "images" / "signatures").glob("*.json"))
    for suffix in (".json", ".sig"):
        first, second = (path.with_suffix(suffix) for path in payloads[:2])
        content = first.read_bytes(), second.read_bytes()
        first.write_bytes(content[1])
        second.write_bytes(content[0])
    done = delivered.listed_anew().verify()
    assert len([problem for problem in done.problems if "what was signed is not sha256:" in problem]) == 2


def test_another_key_of_images(delivered: Delivered, made: Made, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    run_openssl = ("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    assert said(*run_openssl).code == 0
    assert said("openssl", "ec", "-in", str(key), "-pubout", "-out", str(delivered.folder / "images/key.pub")).code == 0
    done = delivered.listed_anew().verify(delivered.key, image_key(made))
    assert len([problem for problem in done.problems if "the signature is not by the image key" in problem]) == 4
    assert any("its fingerprint is" in problem for problem in done.problems)


def test_the_scripts_can_be_run(original: Delivered) -> None:
    for name in ("verify", "install"):
        assert stat.S_IMODE((original.folder / name).stat().st_mode) & 0o111


@pytest.mark.parametrize("name", ["verify", "install"])
def test_the_scripts_are_posix_shell(name: str, original: Delivered, needs: Callable[..., None]) -> None:
    needs("shellcheck")
    done = said("shellcheck", "--severity=style", "--shell=sh", str(original.folder / name))
    assert done.code == 0, done.text

"""Signed packages and repositories by the real rpmsign, rpmkeys, createrepo_c and dnf."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.signing import make_key, signed_repository, signer_of, toy_rpm
from typer.testing import CliRunner

from elpack.builders import Repository
from elpack.cli import app
from elpack.errors import InstallError, SigningError
from elpack.listed import Content, Listed, Manifest
from elpack.manifest import deviations, list_files, named, write_json
from elpack.model import Layout
from elpack.openpgp import dearmour, read_signature
from elpack.run import run
from elpack.steps.repository import About, Packages, publish
from elpack.steps.resign import sign_results
from elpack.steps.sign import RememberingSigner
from elpack.steps.verify import verify
from elpack.store import Store, StoredFile
from elpack.tools.dnf import Dnf
from elpack.tools.gpg import end_agent
from elpack.tools.rpmsign import read_verdicts, verify_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from typer.testing import Result

    from elpack.manifest import Deviation
    from elpack.steps.sign import Signer


@pytest.fixture(scope="module", autouse=True)
def _tools(needs: Callable[..., None]) -> None:
    needs("gpg", "gpg-agent", "gpgconf", "rpmbuild", "rpmsign", "rpmkeys", "createrepo_c")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def old(home: Path) -> Signer:
    return signer_of(home, make_key(home, user="Old <old@example.org>"))


@pytest.fixture(scope="module")
def new(home: Path, old: Signer) -> Signer:
    return signer_of(home, make_key(home, user="New <new@example.org>"))


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("toys")
    return [toy_rpm(folder), toy_rpm(folder, "game")]


def query(path: Path, form: str) -> str:
    command = ["rpm", "-qp", "--nosignature", "--queryformat", form, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def body(path: Path) -> bytes:
    """Return header and payload of an RPM: what follows the lead and the signature header, which is padded to 8."""
    data = path.read_bytes()
    assert data[96:99] == b"\x8e\xad\xe8"
    entries, size = int.from_bytes(data[104:108]), int.from_bytes(data[108:112])
    end = 96 + 16 + 16 * entries + size
    return data[end + -end % 8 :]


def stored(paths: Iterable[Path]) -> list[StoredFile]:
    import hashlib

    files = ((path, path.read_bytes()) for path in paths)
    return [StoredFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files]  # type: ignore[arg-type]


def test_a_signature_changes_neither_header_nor_payload(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    before = [path.read_bytes() for path in toys]
    for path, signed in zip(toys, old.rpms(toys, tmp_path / "signed"), strict=True):
        form = "%{SHA256HEADER} %{PAYLOADDIGEST}"
        assert query(signed, form) == query(path, form)
        assert "RSA/SHA256" in query(signed, "%{RSAHEADER:pgpsig}")
        assert body(signed) == body(path)
        assert signed.read_bytes() != path.read_bytes()
        subprocess.run(["rpmsign", "--delsign", str(signed)], check=True, capture_output=True)
        assert body(signed) == body(path)
        assert query(signed, "%{RSAHEADER}") == "(none)"
    assert [path.read_bytes() for path in toys] == before


def test_a_link_into_the_store_is_never_signed(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    link = tmp_path / "dist" / toys[0].name
    link.hardlink_to(toys[0])
    before = toys[0].read_bytes()
    old.rpms(toys[:1], tmp_path / "dist")
    assert toys[0].read_bytes() == before
    assert link.stat().st_ino != toys[0].stat().st_ino


def test_rpm_judges_what_was_signed(old: Signer, new: Signer, toys: list[Path], tmp_path: Path) -> None:
    toy, game = old.rpms(toys, tmp_path / "signed")
    key = old.public_keys()
    verify_packages((toy, game), key, old.by)
    data = bytearray(toy.read_bytes())
    data[-10] ^= 1
    toy.write_bytes(data)
    unsigned = tmp_path / "unsigned.rpm"
    shutil.copy(toys[1], unsigned)
    with pytest.raises(SigningError) as caught:
        verify_packages((toy, game, unsigned), key, old.by)
    assert {problem.where for problem in caught.value.problems} == {toy.name, unsigned.name}
    assert "BAD" in str(caught.value)
    with pytest.raises(SigningError, match=f"not by {new.by}"):
        verify_packages((game,), key, new.by)
    with pytest.raises(SigningError, match="NOKEY"):
        verify_packages((game,), new.public_keys(), old.by)


@pytest.mark.parametrize(
    ("digest", "word"), [("sha1", "SHA-1"), ("sha512", "SHA-512")], ids=["weaker", "other than asked for"]
)
def test_another_hash_is_refused(digest: str, word: str, old: Signer, toys: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.rpm"
    shutil.copy(toys[0], copy)
    with old.keyring.opened() as at:
        defines = [f"__gpg {shutil.which('gpg')}", f"_gpg_name {old.by}", f"_gpg_digest_algo {digest}"]
        defines.append(f"_gpg_path {at.home}")
        options = [word for define in defines for word in ("--define", define)]
        command = at.wrap(("rpmsign", *options, "--addsign", str(copy)))
        subprocess.run(command, check=True, capture_output=True, env=dict(at.env))
    with pytest.raises(SigningError, match=word):
        verify_packages((copy,), old.public_keys(), old.by)


def test_verdicts_are_read_by_file() -> None:
    text = "a b:c.rpm:\n    Header SHA256 digest: OK\nd.rpm:\n    MD5 digest: BAD\n"
    assert read_verdicts(text) == {"a b:c.rpm": ["    Header SHA256 digest: OK"], "d.rpm": ["    MD5 digest: BAD"]}


def test_nothing_is_signed_twice(old: Signer, new: Signer, toys: list[Path], tmp_path: Path) -> None:
    def once(by: Signer) -> dict[Path, bytes]:
        with Store(tmp_path / "store") as store:
            found = RememberingSigner(by, store, tmp_path / "scratch").rpms(stored(toys))
            return {path: file.path.read_bytes() for path, file in found.items()}

    first = once(old)
    assert once(old) == first
    assert once(new) != first
    # a bit that flips in the store is noticed, and the copy made anew from the unsigned package
    for path in (tmp_path / "store").glob("*/*/*.rpm"):
        data = bytearray(path.read_bytes())
        data[200] ^= 1
        path.write_bytes(data)
    again = once(old)
    assert again.keys() == first.keys()
    with Store(tmp_path / "store") as store:
        copies = RememberingSigner(old, store, tmp_path / "scratch").rpms(stored(toys))
        verify_packages([file.path for file in copies.values()], old.public_keys(), old.by)


def test_packages_of_one_name_are_signed_each(old: Signer, tmp_path: Path) -> None:
    twins = [toy_rpm(tmp_path / "a"), toy_rpm(tmp_path / "b", requires="game")]
    assert twins[0].name == twins[1].name
    with Store(tmp_path / "store") as store:
        found = RememberingSigner(old, store, tmp_path / "scratch").rpms(stored(twins))
    for twin in twins:
        assert body(found[twin].path) == body(twin)


def test_metadata_may_expire(old: Signer, home: Path, toys: list[Path], tmp_path: Path) -> None:
    signer = signer_of(home, old.key.fingerprint, metadata_expires=30)
    made = signed_repository(tmp_path, toys, signer)
    signature = read_signature(dearmour((made.folder / "repodata" / "repomd.xml.asc").read_text()))
    assert signature.expires == 30 * 86400
    (tmp_path / "manifest.json").write_text("{}")
    assert read_signature(dearmour(signer.file(tmp_path / "manifest.json").read_text())).expires == 0


def results_of(toys: list[Path], dist: Path, signer: Signer | None = None) -> Path:
    """Lay out what `elpack rpm` leaves behind."""
    folder = dist / "el9" / "x86_64"
    packages = Packages(tuple(toys[:1]), srpms=(), buildroot=tuple(toys[1:]))
    publish(packages, folder, About("shop", "shop", "shop for a test", folder.as_uri()), signer)
    (folder / "logs").mkdir()
    (folder / "logs" / "log").write_text("x")
    (folder / "release.json").write_text("{}")
    listed(folder, toys)
    return folder


def listed(folder: Path, toys: list[Path]) -> None:
    """Write the manifest of what lies there."""
    built = {file.path.name: Listed("", Content(file.size, file.sha256)) for file in stored(toys)}
    files = tuple(list_files(folder, built, signed=False))
    manifest = Manifest("1", "shop", "1", Layout.STACK, "el9", "3.12", "x86_64", standin=False, files=files)
    write_json(folder / "manifest.json", manifest.as_json())


def all_of(dist: Path) -> tuple[Path, ...]:
    return named(dist, "", "", "", SigningError)


def sign(dist: Path, signer: Signer, *, metadata: bool = False) -> int:
    return sign_results(dist, all_of(dist), signer, lambda text: None, metadata=metadata)


def test_unsigned_results_are_signed_later(old: Signer, new: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    assert "gpgcheck=0" in (folder / "shop.repo").read_text()
    assert "UNSIGNED" in (folder / "shop.repo").read_text()
    before = [path.read_bytes() for path in toys]
    for by in (old, new):
        assert sign(tmp_path, by) == 2
        assert [path.read_bytes() for path in toys] == before, "dist holds links into the store"
        text = (folder / "shop.repo").read_text()
        assert "gpgcheck=1\nrepo_gpgcheck=1\n" in text
        assert f"gpgkey={folder.as_uri()}/RPM-GPG-KEY-shop" in text
        assert "UNSIGNED" not in text
        assert (folder / "RPM-GPG-KEY-shop").read_text() == by.public_keys()
        verify_packages([*folder.glob("*/*.rpm")], by.public_keys(), by.by)
        for name in ("manifest.json", "repo/repodata/repomd.xml", "buildroot/repodata/repomd.xml"):
            assert by.keyring.verify(folder / name, folder / f"{name}.asc") == by.key.fingerprint
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["signing"] == {"fingerprint": by.key.fingerprint, "throwaway": False}
        entries = {entry["name"]: entry for entry in manifest["artefacts"]}
        signed = {file.path.name: file for file in stored(folder.glob("*/*.rpm"))}
        for file in stored(toys):
            entry = entries[file.path.name]
            assert (entry["size"], entry["sha256"]) == (file.size, file.sha256)
            assert entry["signed"]["sha256"] == signed[file.path.name].sha256
        assert (folder / "logs" / "log").read_text() == "x"
        assert (folder / "release.json").exists()


def test_metadata_alone_is_signed_anew(old: Signer, new: Signer, home: Path, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    with pytest.raises(SigningError, match="not what a trusted key signed"):
        sign(tmp_path, old, metadata=True)
    sign(tmp_path, old)
    packages = {path: path.read_bytes() for path in folder.glob("*/*.rpm")}
    sign(tmp_path, signer_of(home, old.key.fingerprint, metadata_expires=7), metadata=True)
    assert {path: path.read_bytes() for path in folder.glob("*/*.rpm")} == packages
    signature = read_signature(dearmour((folder / "repo" / "repodata" / "repomd.xml.asc").read_text()))
    assert signature.expires == 7 * 86400
    with pytest.raises(SigningError, match="not what a trusted key signed"):
        sign(tmp_path, new, metadata=True)


def test_only_what_the_manifest_lists_is_signed(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    foreign = toy_rpm(folder / "repo", "foreign")
    toy = folder / "repo" / toys[0].name
    toy.unlink()
    toy.write_bytes(toys[0].read_bytes() + b"x")
    missing = folder / "buildroot" / toys[1].name
    missing.unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SigningError) as caught:
        sign(tmp_path, old)
    assert {problem.where for problem in caught.value.problems} == {str(foreign), str(toy), str(missing)}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("place", ["specs", "sbom", "provenance", "repo/repodata", "buildroot/repodata", ""])
def test_other_files_are_what_the_manifest_lists(place: str, old: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    missing = folder / place / ("toy.spec" if place else "release.json")
    missing.parent.mkdir(exist_ok=True)
    missing.write_text("{}")
    listed(folder, toys)
    foreign = missing.with_name("x.intoto.json")
    foreign.write_text("{}")
    missing.unlink()
    with pytest.raises(SigningError) as caught:
        sign(tmp_path, old)
    assert {problem.where for problem in caught.value.problems} == {str(foreign), str(missing)}
    foreign.unlink()
    missing.write_text("{ }")
    with pytest.raises(SigningError, match="not the file that the manifest lists"):
        sign(tmp_path, old)


def test_what_is_swapped_after_it_was_checked_is_not_signed(
    old: Signer, toys: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = results_of(toys, tmp_path)
    target = folder / "repo" / toys[0].name

    def swapped(*args: Any, **kwargs: Any) -> list[Deviation]:
        found = list(deviations(*args, **kwargs))
        target.unlink()
        shutil.copyfile(toys[1], target)
        return found

    monkeypatch.setattr("elpack.steps.resign.deviations", swapped)
    sign(tmp_path, old)
    assert query(target, "%{SHA256HEADER}") == query(toys[0], "%{SHA256HEADER}")
    verify(folder, (old.key.fingerprint,), unsigned=False, runner=run)


def test_a_pipe_among_the_results_is_refused_and_not_waited_for(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    sign(tmp_path, old)
    for name in ("manifest.json.asc", "shop.repo", f"repo/{toys[0].name}"):
        kept = (folder / name).rename(tmp_path / "kept")
        os.mkfifo(folder / name)
        for metadata in (True, False):
            with pytest.raises(SigningError, match="it is no regular file"):
                sign(tmp_path, old, metadata=metadata)
        kept.replace(folder / name)
    assert sign(tmp_path, old, metadata=True) == 2


def test_results_under_another_target_s_name_are_refused(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    (tmp_path / "el8").mkdir()
    folder.rename(tmp_path / "el8" / "x86_64")
    with pytest.raises(SigningError, match="its manifest is that of el9 x86_64"):
        sign(tmp_path, old)


def test_a_repo_file_with_lines_of_somebody_elses_is_refused(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    folder = results_of(toys, tmp_path)
    repo = folder / "shop.repo"
    repo.write_text(repo.read_text().replace("enabled=1", "  gpgcheck=0\nenabled=1", 1))
    with pytest.raises(SigningError, match="a line of its own"):
        sign(tmp_path, old)


def test_nothing_to_sign(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="nothing was handed over here"):
        all_of(tmp_path)
    (tmp_path / "el9" / "x86_64").mkdir(parents=True)
    (tmp_path / "el9" / "x86_64" / "manifest.json").write_text('{"artefacts": 7}')
    with pytest.raises(SigningError, match="the manifest cannot be used"):
        all_of(tmp_path)


RELEASE = """
[release]
name = "shop"
date = 2026-11-01
packager = "A Packager <a@example.org>"
[application]
name = "shop"
[first-party.shop]
version = "1.0"
[targets.el9]
[signing]
key = "{key}"
also-trusted = ["{other}"]
"""


def test_the_commands(
    old: Signer, new: Signer, toys: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = old.keyring.home
    release = tmp_path / "elpack.toml"
    release.write_text(RELEASE.format(key=old.key.fingerprint, other=new.key.fingerprint))
    folder = results_of(toys, tmp_path / "dist")
    with tempfile.TemporaryDirectory(prefix="elpack-test-", ignore_cleanup_errors=True) as short:
        shutil.copytree(home, short, dirs_exist_ok=True)
        monkeypatch.setenv("GNUPGHOME", short)

        def elpack(*arguments: str) -> Result:
            done = CliRunner().invoke(app, [*arguments, "--file", str(release)])
            end_agent(short)
            return done

        keys = elpack("keys")
        assert keys.exit_code == 0, keys.output
        assert f"release                 {old.key.fingerprint}" in keys.stdout
        assert f"trusted, too            {new.key.fingerprint}" in keys.stdout
        assert "THROWAWAY" in keys.stdout
        assert "THROWAWAY" in keys.stderr, "a key that was made just now is told loudly"
        assert "THROWAWAY" not in elpack("keys").stderr
        signed = elpack("sign")
        assert signed.exit_code == 0, signed.output
        both = signer_of(home, old.key.fingerprint, new.key.fingerprint)
        assert (folder / "RPM-GPG-KEY-shop").read_text() == both.public_keys()
        assert elpack("sign", "--metadata", "--target", "el9").exit_code == 0
        assert elpack("sign", "--target", "el8").exit_code == 27
        assert elpack("sign", "--key", "DEADBEEF").exit_code == 27
        release.unlink()
        assert elpack("sign").exit_code == 27
        assert elpack("sign", "--key", new.key.fingerprint).exit_code == 0
        assert (folder / "RPM-GPG-KEY-shop").read_text() == new.public_keys()
        release.write_text(RELEASE.format(key="0" * 40, other=new.key.fingerprint))
        refused = elpack("keys")
        assert refused.exit_code == 27
        assert "refused" in refused.stdout


class Customer:
    """A host with the repository in its dnf, its keys as they were handed out to it."""

    def __init__(self, folder: Path, repository: Path, key_file: Path) -> None:
        source = Repository("toy", str(repository), gpgkey=key_file.as_uri())
        self.dnf = Dnf((source,), "x86_64", "9", folder / "dnf")
        self.folder = folder

    def install(self, package: str) -> tuple[str, ...]:
        return self.dnf.install(self.folder / "root", (package,), self.folder / "log").packages


@pytest.mark.root
@pytest.mark.usefixtures("needs")
def test_keys_are_rotated(old: Signer, new: Signer, home: Path, toys: list[Path], tmp_path: Path) -> None:
    # for a while the old key signs, and both are handed out
    both = signer_of(home, old.key.fingerprint, new.key.fingerprint)
    served = signed_repository(tmp_path, toys, both)
    key_files = {name: tmp_path / f"KEY-{name}" for name in ("both", "old")}
    key_files["both"].write_text(both.public_keys())
    key_files["old"].write_text(old.public_keys())
    prepared = Customer(tmp_path / "prepared", served.folder, key_files["both"])
    late = Customer(tmp_path / "late", served.folder, key_files["old"])
    for customer in (prepared, late):
        assert customer.install("toy") == ("toy-1.0-1.noarch",)
    # then the new key signs alone; who fetched the keys in time updates and installs, who did not is refused
    newer = [toy_rpm(tmp_path / "newer", "toy", "2.0"), toys[1]]
    signed_repository(tmp_path, newer, new)
    assert prepared.install("toy") == ("toy-2.0-1.noarch",)
    assert prepared.install("game") == ("game-1.0-1.noarch",)
    with pytest.raises(InstallError, match="Bad GPG signature"):
        late.install("toy")
    # packages by the new key alone do not pass either, where the metadata are by the old one
    old.metadata(served.folder / "repodata" / "repomd.xml")
    with pytest.raises(InstallError, match="not the one that signed its packages"):
        late.install("toy")
    # and with the new key in its file the late one is a customer again
    key_files["old"].write_text(new.public_keys())
    new.metadata(served.folder / "repodata" / "repomd.xml")
    assert late.install("toy") == ("toy-2.0-1.noarch",)


@pytest.mark.root
def test_no_agent_is_left_behind_by_a_check(old: Signer, toys: list[Path], tmp_path: Path) -> None:
    served = signed_repository(tmp_path, toys, old)
    Customer(tmp_path / "customer", served.folder, served.key_file).install("toy")
    found = subprocess.run(["pgrep", "-af", "gpg-agent"], capture_output=True, text=True, check=False).stdout
    assert str(tmp_path) not in found

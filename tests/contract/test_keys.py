"""Keys by the real gpg: the throwaway key, and which keys may stand for a release."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.signing import USER, gpg, make_key

from elpack.config.signing import Signing
from elpack.errors import SigningError
from elpack.run import run
from elpack.steps.keys import chosen, release_key, signing_part, throwaway_key
from elpack.steps.sign import release_signer, signer
from elpack.tools.gpg import Keyring, end_agent, explained
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.openpgp import Fingerprint

NOBODYS = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture(scope="module", autouse=True)
def _tools(needs: Callable[..., None]) -> None:
    needs("gpg", "gpg-agent", "gpgconf")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Fingerprint]]:
    home = tmp_path_factory.mktemp("good")
    yield home, make_key(home)
    end_agent(str(home))


def agents(of: str) -> list[str]:
    """Return the command lines of agents that run, or stop running within a moment."""
    mine: list[str] = []
    for _ in range(20):
        found = subprocess.run(["pgrep", "-af", "gpg-agent"], capture_output=True, text=True, check=False).stdout
        mine = [line for line in found.splitlines() if of in line]
        if not mine:
            return []
        time.sleep(0.1)
    return mine


def refusals(key: Fingerprint | str, home: Path) -> str:
    with pytest.raises(SigningError) as caught:
        release_key(key, Keyring(home, own=True))  # type: ignore[arg-type]
    assert caught.value.exit_code == 27
    return str(caught.value)


def test_a_throwaway_key_is_made_once_and_says_what_it_is(workspace: Workspace) -> None:
    _, key, made = throwaway_key(workspace, run)
    assert made
    assert key.throwaway
    assert "THROWAWAY" in key.user
    assert (key.algorithm, key.bits) == ("RSA", 4096)
    assert key.expires is not None
    assert 80 * 86400 < key.expires - time.time() < 91 * 86400
    assert workspace.keys.stat().st_mode & 0o777 == 0o700
    ring, again, made = throwaway_key(workspace, run)
    assert (again, made) == (key, False)
    # and it is one that EL9 verifies: nothing but its being a throwaway key speaks against it
    with pytest.raises(SigningError) as caught:
        release_key(key.fingerprint, ring)
    (problem,) = caught.value.problems
    assert "throwaway" in problem.what


def test_a_folder_with_a_longer_path_than_a_socket_may_have(tmp_path: Path) -> None:
    home = tmp_path.joinpath(*["a-long-name-of-a-folder"] * 8)
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    made = signer(Signing(), workspace, run)
    assert len(str(workspace.keys)) > 180
    assert made.keyring.sign(made.by, b"data").startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert agents(str(workspace.keys)) == []
    assert agents("elpack-gpg-") == []


def test_an_expired_throwaway_key_is_replaced(workspace: Workspace) -> None:
    workspace.keys.mkdir(parents=True, mode=0o700)
    user = "THROWAWAY x <throwaway@elpack.invalid>"
    old = make_key(workspace.keys, bits=2048, user=user, at="20200101T000000", expires="90d")
    _, key, made = throwaway_key(workspace, run)
    assert made
    assert key.fingerprint != old
    assert throwaway_key(workspace, run)[1] == key


def test_a_good_key_may_stand_for_a_release(good: tuple[Path, Fingerprint]) -> None:
    home, key = good
    assert release_key(key, Keyring(home, own=True)).user == USER


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"bits": 3072}, ("3072 bits",)),
        ({"digest": "SHA1"}, ("made with SHA-1",)),
        ({"at": "20200101T000000", "expires": "30d"}, ("expired on 2020-01-31",)),
        ({"user": "Snapshot THROWAWAY <x@example.org>"}, ("throwaway",)),
        ({"algorithm": "EDDSA"}, ("EdDSA",)),
        ({"algorithm": "DSA", "bits": 2048}, ("DSA",)),
        ({"subkey": 2048}, ("subkey", "2048 bits")),
        (
            {"bits": 2048, "digest": "SHA1", "at": "20200101T000000", "expires": "30d", "user": "THROWAWAY <x@y.org>"},
            ("2048 bits", "SHA-1", "expired", "throwaway"),
        ),
    ],
    ids=["3072", "sha1", "expired", "throwaway", "eddsa", "dsa", "subkey", "all at once"],
)
def test_a_key_is_refused_with_all_that_speaks_against_it(
    how: dict[str, object], words: tuple[str, ...], tmp_path: Path
) -> None:
    key = make_key(tmp_path, **how)  # type: ignore[arg-type]
    text = refusals(key, tmp_path)
    for word in words:
        assert word in text


def test_a_strong_subkey_signs_in_the_keys_place(tmp_path: Path) -> None:
    key = make_key(tmp_path, subkey=4096)
    ring = Keyring(tmp_path, own=True)
    found = release_key(key, ring)
    part = signing_part(found, time.time())
    assert part.fingerprint != key
    signature = tmp_path / "data.asc"
    (tmp_path / "data").write_bytes(b"data")
    signature.write_bytes(ring.sign(part.fingerprint, b"data"))
    assert ring.verify(tmp_path / "data", signature) == key


def test_a_revoked_key_is_refused(tmp_path: Path) -> None:
    key = make_key(tmp_path, bits=2048)
    certificate = (tmp_path / "openpgp-revocs.d" / f"{key}.rev").read_text().replace(":-----", "-----")
    gpg(tmp_path, "--import", text=certificate)
    assert "revoked" in refusals(key, tmp_path)


def test_a_key_without_its_secret_part_is_refused(good: tuple[Path, Fingerprint], tmp_path: Path) -> None:
    home, key = good
    gpg(tmp_path, "--import", text=Keyring(home, own=True).export((key,)))
    assert "secret key is not there" in refusals(key, tmp_path)
    assert release_key(key, Keyring(tmp_path, own=True), secret=False).fingerprint == key


def test_an_unknown_key_is_refused(good: tuple[Path, Fingerprint], tmp_path: Path) -> None:
    assert "no such key" in refusals(NOBODYS, good[0])
    assert "no such key" in refusals(NOBODYS, tmp_path / "not a folder")


def test_problems_of_all_named_keys_are_told_together(good: tuple[Path, Fingerprint], tmp_path: Path) -> None:
    weak = make_key(tmp_path, bits=2048)
    signing = Signing(weak, (NOBODYS,), None)  # type: ignore[arg-type]
    with pytest.raises(SigningError) as caught:
        release_signer(signing, Keyring(tmp_path, own=True))
    assert "2048 bits" in str(caught.value)
    assert NOBODYS in str(caught.value)


def test_what_is_exported_has_nobody_elses_signatures(good: tuple[Path, Fingerprint], tmp_path: Path) -> None:
    home, key = good
    gpg(tmp_path, "--import", text=Keyring(home, own=True).export((key,)))
    other = make_key(tmp_path, bits=2048, user="Other <other@example.org>")
    gpg(tmp_path, "--local-user", other, "--quick-sign-key", key)
    ring = Keyring(tmp_path, own=True)
    assert {getattr(packet, "issuer", key) for packet in ring.packets(key)} == {key}


def test_the_users_own_home_and_agent_are_used(
    good: tuple[Path, Fingerprint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(good[0]))
    made = signer(Signing(good[1]), workspace, run)
    assert (made.keyring.home, made.keyring.own) == (good[0], False)
    assert not workspace.keys.exists()


def test_without_a_terminal_a_passphrase_is_asked_for_in_vain(tmp_path: Path) -> None:
    key = make_key(tmp_path, bits=2048, passphrase="secret")  # noqa: S106
    (tmp_path / "gpg-agent.conf").write_text("pinentry-program /bin/false\n")
    with pytest.raises(SigningError) as caught:
        Keyring(tmp_path, own=True).sign(key, b"data")
    assert "did not sign" in str(caught.value)
    assert caught.value.problems[0].why
    assert "secret" not in str(caught.value).replace("secret key", "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("gpg: signing failed: Inappropriate ioctl for device", "no terminal"),
        ("gpg: signing failed: No pinentry", "no terminal"),
        ("gpg: signing failed: Timeout", "in time"),
        ("gpg: signing failed: Operation cancelled", "not given"),
        ("gpg: signing failed: Bad passphrase", "wrong"),
        ("gpg: skipped: No secret key", "secret key is not there"),
        ("gpg: can't connect to the agent: IPC connect call failed", "agent cannot be reached"),
    ],
)
def test_what_gpg_says_becomes_the_error_that_helps(said: str, why: str) -> None:
    (problem,) = explained(said, "it did not sign").problems
    assert why in problem.why
    assert problem.fix
    assert said in problem.what


def test_which_key_is_chosen(workspace: Workspace) -> None:
    with pytest.raises(SigningError, match="no key is named"):
        chosen(workspace, "")
    with pytest.raises(SigningError, match="8 digits"):
        chosen(workspace, "DEADBEEF")
    assert chosen(workspace, NOBODYS.lower()) == Signing(NOBODYS)  # type: ignore[arg-type]

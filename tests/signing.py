"""Keys, toy packages and signed toy repositories for tests; nothing here touches the user's own GnuPG home."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.steps.sign import Signer
from elpack.tools.createrepo import create_repository
from elpack.tools.gpg import Keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elpack.openpgp import Fingerprint
    from elpack.tools.gpg import Key

USER = "A Release <release@example.org>"

_SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: A toy
License: MIT
BuildArch: noarch
{requires}
%description
A toy.
%install
mkdir -p %{{buildroot}}/opt/{name}
echo {version} > %{{buildroot}}/opt/{name}/version
%files
/opt/{name}
"""


@dataclass(frozen=True)
class SignedRepository:
    """A repository as customers get it: its folder, the file of public keys, and its id for dnf."""

    folder: Path
    key_file: Path
    id: str = "toy"


def gpg(home: Path, *arguments: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run gpg on a home, whatever the length of its path, with an agent that ends with it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="elpack-test-", ignore_cleanup_errors=True) as short:
        shutil.copytree(home, short, dirs_exist_ok=True)
        command = ["gpg-agent", "--homedir", short, "--allow-loopback-pinentry", "--quiet"]
        command += ["--log-file", f"{short}/agent.log", "--daemon", "--"]
        command += ["gpg", "--homedir", short, "--batch", "--quiet", "--no-tty", "--no-options", "--yes"]
        command += ["--pinentry-mode", "loopback", *arguments]
        environment = {**os.environ, "HOME": short, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, env=environment, timeout=120
        )
        for order in ("--kill=gpg-agent", "--remove-socketdir"):
            subprocess.run(["gpgconf", "--homedir", short, *order.split("=")], capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        sockets = shutil.ignore_patterns("S.*", "*.lock", "*~", ".#*", "agent.log")
        shutil.copytree(short, home, dirs_exist_ok=True, ignore=sockets)
    return done


def make_key(
    home: Path,
    *,
    user: str = USER,
    algorithm: str = "RSA",
    bits: int = 4096,
    expires: str = "1y",
    digest: str = "SHA256",
    at: str = "",
    subkey: int = 0,
    passphrase: str = "",
) -> Fingerprint:
    """Make a key in a home and return its fingerprint.

    expires: as gpg spells it, such as 1d, 0 for never. digest: of its own signatures. at: when it is made, such as
    20200101T000000, else now. subkey: bits of a subkey that signs in its place, 0 for none.
    """
    before = _listed(home)
    kind = f"Key-Type: {algorithm}\n" + (f"Key-Length: {bits}\n" if algorithm in {"RSA", "DSA"} else "")
    if algorithm == "EDDSA":
        kind += "Key-Curve: ed25519\n"
    kind += f"Key-Usage: {'cert' if subkey else 'sign'}\n"
    kind += f"Subkey-Type: RSA\nSubkey-Length: {subkey}\nSubkey-Usage: sign\n" if subkey else ""
    name, _, mail = user.removesuffix(">").partition(" <")
    secrecy = f"Passphrase: {passphrase}\n" if passphrase else "%no-protection\n"
    text = f"{kind}Name-Real: {name}\nName-Email: {mail}\nExpire-Date: {expires}\n{secrecy}%commit\n"
    clock = ("--faked-system-time", f"{at}!") if at else ()
    gpg(home, *clock, "--cert-digest-algo", digest, "--full-generate-key", text=text)
    (made,) = _listed(home).keys() - before.keys()
    return made


def signer_of(home: Path, key: Fingerprint, *trusted: Fingerprint, metadata_expires: int | None = None) -> Signer:
    """Return who signs by a key of a home, which customers get together with the others."""
    return Signer(_listed(home)[key], Keyring(home, own=True), (key, *trusted), metadata_expires)


def _listed(home: Path) -> dict[Fingerprint, Key]:
    ring = Keyring(home, own=True)
    return {key.fingerprint: key for key in tuple(ring.keys())}


def toy_rpm(folder: Path, name: str = "toy", version: str = "1.0", *, requires: str = "") -> Path:
    """Build a small RPM into the folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="elpack-toy-") as scratch:
        spec = Path(scratch, f"{name}.spec")
        wanted = f"Requires: {requires}" if requires else ""
        spec.write_text(_SPEC.format(name=name, version=version, requires=wanted))
        options = ["--define", f"_topdir {scratch}", "--define", f"_rpmdir {scratch}/rpms", "--quiet"]
        subprocess.run(["rpmbuild", "-bb", *options, str(spec)], check=True, capture_output=True)
        (made,) = Path(scratch, "rpms").glob("*/*.rpm")
        return Path(shutil.copy(made, folder))


def signed_repository(
    folder: Path, packages: Sequence[Path], signer: Signer, *, sign_metadata: bool = True
) -> SignedRepository:
    """Make a repository of signed copies of the packages in `folder`, with the public keys beside it."""
    repository = folder / "repo"
    shutil.rmtree(repository, ignore_errors=True)
    signer.rpms(packages, repository)
    create_repository(repository)
    if sign_metadata:
        signer.metadata(repository / "repodata" / "repomd.xml")
    key_file = folder / "RPM-GPG-KEY-toy"
    key_file.write_text(signer.public_keys())
    return SignedRepository(repository, key_file)

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.builders import Repository
from elpack.errors import BuildError, DiskFullError, ElpackError, FetchError, InstallError, PrivilegeError
from elpack.tools.dnf import Dnf, configuration, explain

if TYPE_CHECKING:
    from .conftest import Player

TABLE = """\
Dependencies resolved.
 Package  Arch  Version  Repository  Size
Transaction Summary
Install  3 Packages

Installed:
  python3.11-3.11.2-1.x86_64    make-4.3-1.x86_64
  python3.11-libs-3.11.2-1.x86_64

Complete!
"""


@pytest.fixture
def dnf(tmp_path: Path, base_repository: Repository, player: Player) -> Dnf:
    return Dnf((base_repository,), "x86_64", "9", tmp_path / "dnf", BuildError, player)


@pytest.mark.usefixtures("as_root")
def test_install_runs_dnf_on_the_root_with_a_configuration_of_its_own(dnf: Dnf, player: Player, tmp_path: Path) -> None:
    player.on("install", says=TABLE)
    root = tmp_path / "root"
    done = dnf.install(root, ("make", "python3.11dist(cffi) >= 1.15"), tmp_path / "dnf.log")
    assert done.packages == ("make-4.3-1.x86_64", "python3.11-3.11.2-1.x86_64", "python3.11-libs-3.11.2-1.x86_64")
    assert done.text == TABLE
    (command,) = player.commands
    argv = command.argv
    assert argv[-3:] == ("install", "make", "python3.11dist(cffi) >= 1.15")
    assert argv[argv.index("--installroot") + 1] == str(root)
    assert argv[argv.index("--forcearch") + 1] == "x86_64"
    # the host's /dev and /proc are not the root's, and the working folder is what libdnf resolves its cache against
    assert argv[argv.index("--dev") + 1] == f"{root}/dev"
    assert argv[argv.index("--chdir") + 1] == str(root)
    assert "--setopt=cachedir=../dnf/cache" in argv
    config = Path(argv[argv.index("--config") + 1]).read_text()
    assert "reposdir=/dev/null" in config
    assert f"baseurl=file://{tmp_path}/base-repository" in config
    # rpm's own default on Debian is the home folder
    assert (Path(command.env["HOME"]) / ".rpmmacros").read_text() == "%_dbpath /var/lib/rpm\n"


@pytest.mark.usefixtures("as_root")
def test_a_log_that_holds_an_earlier_transaction_is_not_read_again(dnf: Dnf, player: Player, tmp_path: Path) -> None:
    player.on("install", says=TABLE)
    player.on("remove", says="\nRemoved:\n  make-4.3-1.x86_64\n\nComplete!\n")
    log = tmp_path / "dnf.log"
    dnf.install(tmp_path / "root", ("make",), log)
    assert dnf.remove(tmp_path / "root", ("make",), log).packages == ("make-4.3-1.x86_64",)
    assert log.read_text().startswith(TABLE)


def test_without_root_nothing_is_run(dnf: Dnf, player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError):
        dnf.install(tmp_path / "root", ("make",), tmp_path / "dnf.log")
    assert player.commands == []


def test_only_folders_of_this_machine_without_a_key_go_unsigned() -> None:
    text = configuration(
        (
            Repository("local", "/srv/local", priority=1),
            Repository("signed", "/srv/signed", gpgkey="file:///srv/KEY"),
            Repository("baseos", "https://mirror/$basearch/os", gpgkey="https://mirror/key"),
        )
    )
    main, local, signed, remote = text.split("\n\n")
    assert {"gpgcheck=1", "repo_gpgcheck=1", "gpgkey=file:///srv/KEY"} <= set(signed.splitlines())
    assert "gpgcheck=1" in main
    assert local.splitlines()[-2:] == ["gpgcheck=0", "metadata_expire=0"]
    assert "gpgcheck" not in remote
    assert "gpgkey=https://mirror/key" in remote


@pytest.mark.usefixtures("as_root")
def test_what_a_folder_left_in_the_cache_is_forgotten(dnf: Dnf, tmp_path: Path, base_repository: Repository) -> None:
    config, _ = dnf._write_files()
    stays = tmp_path / "dnf" / "cache" / "standin-0123456789abcdef"
    goes = tmp_path / "dnf" / "cache" / dnf_folder(base_repository)
    for folder in (stays, goes):
        folder.mkdir(parents=True)
    dnf.forget((base_repository,))
    assert stays.exists()
    assert not goes.exists()
    assert not config.exists()


def dnf_folder(repository: Repository) -> str:
    import hashlib

    return f"{repository.id}-{hashlib.sha256(f'file://{repository.location}'.encode()).hexdigest()[:16]}"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("No match for argument: nosuch-devel >= 3\nError: Unable to find a match", InstallError, "nosuch-devel >= 3"),
        ("DEBUG util.py:1:  No matching package to install: 'python3dist(x)'\n", InstallError, "python3dist(x)"),
        (
            "Error: \n Problem: conflicting requests\n  - nothing provides libfoo.so.1 needed by bar-1-1.x86_64\n",
            InstallError,
            "libfoo.so.1, needed by bar-1-1.x86_64",
        ),
        ("Error Summary\n  At least 7MB more space needed on the / filesystem.", DiskFullError, "no space"),
        ("cpio: write failed - No space left on device", DiskFullError, "no space"),
        ("Error: Failed to download metadata for repo 'baseos': Cannot download repomd.xml", FetchError, "baseos"),
        ("Package tiny-1.noarch.rpm is not signed\nError: GPG check FAILED", InstallError, "GPG check FAILED"),
        (
            "Package tiny-1.noarch.rpm is not signed\nError: GPG check FAILED",
            InstallError,
            "not signed with the others",
        ),
        (
            "Public key for tiny-1.noarch.rpm is not installed. Failing package is: tiny-1\nError: GPG check FAILED",
            InstallError,
            "not the one that signed its packages",
        ),
        (
            "Error: Failed to download metadata for repo 'x': repomd.xml GPG signature verification error: Bad GPG",
            InstallError,
            "elpack sign --metadata",
        ),
        (
            "Error: Failed to download metadata for repo 'x': GPG signature is not available. Curl error (37): x",
            InstallError,
            "metadata is not signed",
        ),
        ("Error: Failed to retrieve GPG key for repo 'x': Curl error (37)", InstallError, "no key where gpgkey says"),
        ("Error: Some packages from local repository have incorrect checksum", InstallError, "changed or replaced"),
        ("noise\nError: Transaction test error:\n  file /a conflicts", InstallError, "file /a conflicts"),
        ("only noise", InstallError, "dnf ended with 1\nonly noise"),
    ],
)
def test_dnfs_words_become_the_error_that_helps(text: str, kind: type[ElpackError], words: str) -> None:
    error = explain(text, "dnf ended with 1", "to see it again: dnf", InstallError, "tiny")
    assert type(error) is kind
    assert words in str(error)
    assert "tiny" in str(error)


def test_each_missing_requirement_is_told_once() -> None:
    line = "  - nothing provides x needed by y-1\n"
    error = explain(line * 3 + "No match for argument: z\n", "", "", BuildError, "")
    assert [problem.what for problem in error.problems] == [
        "no repository provides z",
        "no repository provides x, needed by y-1",
    ]

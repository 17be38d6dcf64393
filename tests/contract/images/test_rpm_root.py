"""Flavour rpm: what dnf installs from a signed repository becomes three layers that hang on the packages alone."""

from __future__ import annotations

import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import Hand, tool
from tests.contract.images.roots import Toys

from elpack.errors import ImageError, InstallError
from elpack.plan.model import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.images.model import Layer

pytestmark = pytest.mark.root
SETUID = 0o6000


@pytest.fixture(scope="module")
def toys(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Toys:
    needs("dnf", "bwrap", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
    return Toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hand, Hand]]:
    folder = tmp_path_factory.mktemp("hands")
    both = Hand.new(folder / "one", bits=2048), Hand.new(folder / "other", bits=2048)
    yield both
    for hand in both:
        hand.stop()


@pytest.fixture(scope="module")
def made(toys: Toys, hands: tuple[Hand, Hand], tmp_path_factory: pytest.TempPathFactory) -> tuple[Layer, ...]:
    home = tmp_path_factory.mktemp("made")
    return toys.layers(toys.signed(hands[0], home / "repo"), home)[0]


@pytest.fixture(scope="module")
def root(made: tuple[Layer, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for layer in made:
        subprocess.run(("tar", "-C", folder, "--same-owner", "-xpf", layer.tar), check=True)
    return folder


def names(layer: Layer) -> set[str]:
    with tarfile.open(layer.tar) as tar:
        return {member.name for member in tar if not member.isdir()}


def test_each_layer_holds_the_packages_of_one_maker(made: tuple[Layer, ...]) -> None:
    os, third, first = made
    assert [layer.name for layer in made] == ["os", "third-party", "first-party"]
    assert "usr/lib/os-release" in names(os)
    assert names(third) == {"opt/shop/lib-third-party/code.py"}
    assert {"opt/shop/app-application/code.py", "opt/shop/own-first-party/code.py"} <= names(first)
    assert {"var/lib/rpm/rpmdb.sqlite", "etc/passwd", "etc/random"} <= names(first)
    assert not names(os) & {"etc/random", "var/lib/rpm/rpmdb.sqlite"}


def test_another_folder_another_key_and_another_time_give_the_same_bytes(
    toys: Toys, hands: tuple[Hand, Hand], made: tuple[Layer, ...], tmp_path: Path
) -> None:
    there = tmp_path / "elsewhere" / "deeper"
    there.mkdir(parents=True)
    again, told = toys.layers(toys.signed(hands[1], there / "repo"), there)
    assert "dnf installs what is not of the application" in told  # anew
    assert [layer.sha256 for layer in again] == [layer.sha256 for layer in made]


def test_a_change_of_ours_leaves_the_lower_layers_and_their_root_as_they_are(
    toys: Toys, hands: tuple[Hand, Hand], tmp_path: Path
) -> None:
    before, _ = toys.layers(toys.signed(hands[0], tmp_path / "repo"), tmp_path)
    own = next(package for package in toys.plan.published() if package.role is Role.FIRST_PARTY)
    rpm = toys.unsigned / f"{own.nvr}.noarch.rpm"
    kept = rpm.read_bytes()  # built again it would be another one: it says when it was built
    toys.build(own, "another line")
    try:
        after, told = toys.layers(toys.signed(hands[0], tmp_path / "changed"), tmp_path)
    finally:
        rpm.write_bytes(kept)
    assert "the root of third-party packages is there" in told
    assert [layer.sha256 for layer in after[:2]] == [layer.sha256 for layer in before[:2]]
    assert after[2].sha256 != before[2].sha256


def test_a_kept_layer_that_was_damaged_is_made_again(
    toys: Toys, hands: tuple[Hand, Hand], made: tuple[Layer, ...], tmp_path: Path
) -> None:
    repository = toys.signed(hands[0], tmp_path / "repo")
    before, _ = toys.layers(repository, tmp_path)
    with before[0].tar.open("r+b") as tar:  # the kept file itself, by another name
        tar.seek(1000)
        tar.write(b"damage")
    after, told = toys.layers(repository, tmp_path)
    assert "dnf installs what is not of the application" in told
    assert [layer.sha256 for layer in after] == [layer.sha256 for layer in made]


def test_rpm_finds_what_it_installed_but_for_setuid_bits_and_accounts(toys: Toys, root: Path) -> None:
    options = ("--root", root, "--dbpath", "/var/lib/rpm")
    found = tool("rpm", *options, "--query", "--all", "--queryformat", "%{NAME}\\n", home=root.parent).split()
    assert sorted(found) == sorted(["toy-os", *(str(package.rpm) for package in toys.plan.published())])
    tool("rpmdb", *options, "--verifydb", home=root.parent)
    said = tool("rpm", *options, "--verify", "--all", "--nouser", "--nogroup", home=root.parent, code=None)
    changed = {line.split()[-1]: line.split()[0] for line in said.splitlines()}
    assert changed.pop("/usr/bin/su") == ".M......."
    assert set(changed) == {"/etc/passwd", "/etc/group", "/etc/shadow"}


def test_the_database_is_read_where_nobody_may_write(root: Path) -> None:
    database = root / "var/lib/rpm/rpmdb.sqlite"
    assert [path.name for path in database.parent.iterdir() if path.stat().st_size] == ["rpmdb.sqlite"]
    assert database.read_bytes()[18:20] == b"\1\1"  # no write-ahead log, which needs a second file beside it


def test_the_image_s_user_has_its_number_and_what_is_its_own(root: Path) -> None:
    assert "shop:x:1000:1000:shop:/data:/sbin/nologin\n" in (root / "etc/passwd").read_text()
    assert "shop:!:20758::::::\n" in (root / "etc/shadow").read_text()  # the release's date, not today's
    config, data = (root / "etc/shop/config").stat(), (root / "data").stat()
    assert (config.st_uid, config.st_gid, stat.S_IMODE(config.st_mode)) == (0, 1000, 0o640)
    assert (data.st_uid, data.st_gid) == (1000, 1000)


def test_nothing_is_left_of_the_installation(root: Path) -> None:
    every = [path for path in root.rglob("*") if not path.is_symlink()]
    assert not [path for path in every if path.is_file() and path.stat().st_mode & SETUID]
    inside = {str(path.relative_to(root)) for path in every}
    assert not {"var/log/setup.log", "usr/lib/__pycache__", "usr/lib/__pycache__/x.pyc", "var/lib/dnf"} & inside
    assert not [path for path in inside if path.startswith(("etc/dnf", "var/cache/", "var/log/"))]
    assert (root / "etc/machine-id").read_bytes() == b""
    assert (root / "usr/lib/os-release").samefile(root / "usr/lib/another-name")


def test_times_are_those_of_the_packages(toys: Toys, made: tuple[Layer, ...]) -> None:
    day = 86400
    with tarfile.open(made[0].tar) as tar:
        assert tar.getmember("usr/lib/os-release").mtime == 1580608922  # 2020-02-02 02:02:02 UTC
    with tarfile.open(made[2].tar) as tar:
        assert tar.getmember("etc/random").mtime % day == 0


def test_a_package_of_an_unknown_key_is_not_installed(toys: Toys, hands: tuple[Hand, Hand], tmp_path: Path) -> None:
    repository = toys.signed(hands[0], tmp_path / "repo")
    hands[1].public(tmp_path / "repo.key")
    with pytest.raises(InstallError, match="signed"):
        toys.layers(repository, tmp_path)


def test_what_is_not_in_the_repository_is_told_at_once(toys: Toys, hands: tuple[Hand, Hand], tmp_path: Path) -> None:
    repository = toys.signed(hands[0], tmp_path / "repo")
    gone = sorted((tmp_path / "repo").glob("*.rpm"))[:2]
    for path in gone:
        path.unlink()
    with pytest.raises(ImageError) as caught:
        toys.layers(repository, tmp_path)
    assert [problem.what.split()[0] for problem in caught.value.problems] == [path.name for path in gone]

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from elpack.builders.environment import UID
from elpack.builders.roots import CleanRoot, Roots, unmount_below
from elpack.errors import BuildError, CommandError
from elpack.store.lock import locked
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders import Repository
    from elpack.run import Command

    from .conftest import Player

pytestmark = pytest.mark.usefixtures("as_root")


def fill(command: Command) -> None:
    """Play dnf: leave a root behind."""
    from pathlib import Path

    etc = Path(command.argv[command.argv.index("--installroot") + 1]) / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")


@pytest.fixture
def roots(tmp_path: Path, base_repository: Repository, player: Player) -> Roots:
    player.on("install", act=fill)
    dnf = Dnf((base_repository,), "x86_64", "9", tmp_path / "dnf", BuildError, player)
    return Roots(dnf, ("bash",), tmp_path / "work", player, build_user=True)


def test_a_base_is_made_once(roots: Roots, player: Player) -> None:
    base = roots.base()
    assert roots.base() == base
    assert len(player.lines("--installroot")) == 1
    assert f"mockbuild:x:{UID}:{UID}:" in (base / "etc" / "passwd").read_text()


def test_a_base_depends_on_its_packages_and_on_what_the_repository_holds(
    roots: Roots, base_repository: Repository, player: Player
) -> None:
    from pathlib import Path

    digest = roots.digest()
    assert Roots(roots.dnf, ("bash", "gcc"), roots.work, player).digest() != digest
    (Path(base_repository.location) / "repodata" / "repomd.xml").write_text("<repomd>other</repomd>")
    assert roots.digest() != digest


def test_a_base_that_could_not_be_made_leaves_nothing_that_looks_finished(roots: Roots, player: Player) -> None:
    player.on("install", returncode=1, says="No match for argument: bash\n", act=fill)
    with pytest.raises(BuildError, match="the base root: no repository provides bash"):
        roots.base()
    player.on("install", act=fill)
    assert (roots.base() / "etc" / "passwd").exists()


def test_a_clean_root_is_an_overlay_that_goes_away_whatever_happens(roots: Roots, player: Player) -> None:
    seen: list[CleanRoot] = []

    def stop() -> None:
        with roots.clean_root() as root:
            seen.append(root)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    (mount,) = player.lines("overlay")
    assert f"lowerdir={roots.base()},upperdir={seen[0].upper}" in mount
    assert list((roots.work / "live").iterdir()) == []


def test_where_overlayfs_does_not_work_the_base_is_copied(roots: Roots, player: Player) -> None:
    player.on("overlay", returncode=32)
    with roots.clean_root() as root:
        assert player.lines("--archive") == [f"cp --archive --reflink=auto {roots.base()}/. {root.path}"]


def test_roots_of_a_killed_run_are_swept_and_those_in_use_are_not(roots: Roots) -> None:
    live = roots.work / "live"
    dead, used = CleanRoot(live / "dead"), CleanRoot(live / "used")
    for home in (dead, used):
        home.path.mkdir(parents=True)
        home.lock.touch()
    with used.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with roots.clean_root():
            assert not dead.home.exists()
            assert not dead.lock.exists()
            assert used.path.exists()


def test_mounts_are_undone_innermost_first_and_only_below_the_folder(
    player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    table = "".join(
        f"{number} 1 0:1 / {point} rw - overlay overlay rw\n"
        for number, point in enumerate(
            ("/", f"{tmp_path}/a", f"{tmp_path}/a/with\\040blank", f"{tmp_path}/another", f"{tmp_path}/ab")
        )
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: table)
    unmount_below(tmp_path / "a", player)
    assert player.lines("umount") == [f"umount '{tmp_path}/a/with blank'", f"umount {tmp_path}/a"]


def test_a_mount_that_stays_busy_is_detached_and_one_that_cannot_be_is_not_deleted(
    player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elpack.builders.roots.time.sleep", lambda _: None)
    monkeypatch.setattr("elpack.builders.roots._mounts_below", lambda folder: [str(folder)])
    player.on("umount", returncode=32)
    player.on("--lazy")
    unmount_below(tmp_path, player)
    assert player.lines("umount")[-1] == f"umount --lazy {tmp_path}"
    player.on("--lazy", returncode=32)
    with pytest.raises(CommandError):
        unmount_below(tmp_path, player)


def test_a_lock_excludes_other_holders(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), (tmp_path / "lock").open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

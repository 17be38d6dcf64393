"""Sdists of checkouts: what elpack leaves beside them stays out, and what their build lock hangs on."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.backends import packs, seen

from elpack.archives.members import Limits
from elpack.archives.repack import repack
from elpack.config import FirstParty
from elpack.errors import ArchiveError, CommandError
from elpack.naming import dist_name
from elpack.run import Completed, run
from elpack.steps.checkouts import checkout, local_source
from elpack.steps.sources import build_files_digest
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from elpack.run import Command

PYPROJECT = b'[build-system]\nrequires = ["hatchling"]\n'


def make_sdist(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"shop-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


class Backend:
    """Plays uv with a build backend that packs the given files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.commands: list[Command] = []

    def __call__(self, command: Command) -> Completed:
        self.commands.append(command)
        if not packs(command):
            return Completed(command, 0, "", "", 0.0)
        into = Path(command.argv[command.argv.index("--out-dir") + 1])
        make_sdist(into / "shop-1.0.tar.gz", self.files)
        return Completed(command, 0, "", "", 0.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "pyproject.toml").write_bytes(PYPROJECT)
    return Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")


SHOP = FirstParty(dist_name("shop"), path=".")


def test_sdist_of_checkout_is_made_without_network_by_the_python_that_is_here(workspace: Workspace) -> None:
    backend = Backend({"pyproject.toml": PYPROJECT, "dist.py": b"", "docs/dist/a": b""})
    made = local_source(SHOP, workspace, backend)
    assert made is not None
    assert made[1].name == "shop-1.0.tar.gz"
    venv, install, ask, build = (command.argv for command in backend.commands)
    assert venv[venv.index("--python") + 1].startswith(sys.base_prefix)
    assert "--no-build" in install, "no code of a build requirement runs while the network is there"
    assert "--share-net" in install
    assert "--share-net" not in (*ask, *build)
    assert build[build.index("--python") + 1] == "/task/venv/bin/python"


def test_folders_of_a_checkout_elsewhere_are_its_own(workspace: Workspace, tmp_path: Path) -> None:
    checkout = tmp_path / "libs" / "shop"
    checkout.mkdir(parents=True)
    (checkout / "pyproject.toml").write_bytes(PYPROJECT)
    dist = FirstParty(dist_name("shop"), path="libs/shop")
    assert local_source(dist, workspace, Backend({"pyproject.toml": PYPROJECT, "dist/app.js": b""})) is not None


def test_only_files_that_say_how_it_is_built_count_for_the_build_lock(tmp_path: Path) -> None:
    files = {"pyproject.toml": PYPROJECT, "shop.py": b"1", "pylock.build.toml": b"old"}
    before = build_files_digest(make_sdist(tmp_path / "a.tar.gz", files))
    edited = build_files_digest(make_sdist(tmp_path / "b.tar.gz", files | {"shop.py": b"2", "pylock.build.toml": b""}))
    setup = build_files_digest(make_sdist(tmp_path / "c.tar.gz", files | {"setup.py": b""}))
    assert before == edited
    assert before != setup


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(("git", "-C", str(folder), *identity, *arguments), check=True, capture_output=True)


@pytest.fixture
def upstream(tmp_path: Path, needs: Callable[..., None]) -> Path:
    """Make a repository with the tag release/1.0, and one commit after it."""
    needs("git")
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init")
    for version in ("1.0", "2.0"):
        (folder / "pyproject.toml").write_text(f'[project]\nname = "shop"\nversion = "{version}"\n')
        git(folder, "add", ".")
        git(folder, "commit", "-m", version)
        if version == "1.0":
            git(folder, "tag", "release/1.0")
    return folder


def tagged(upstream: Path, tag: str) -> FirstParty:
    return FirstParty(dist_name("shop"), git=upstream.as_uri(), tag=tag)


def test_a_git_source_is_the_tag_and_not_what_came_after_it(tmp_path: Path, upstream: Path) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    tree = checkout(tagged(upstream, "release/1.0"), workspace, run)
    assert tree is not None
    assert 'version = "1.0"' in (tree / "pyproject.toml").read_text()
    assert tree.parent == workspace.work / "checkouts"


def test_another_repository_with_the_same_tag_is_cloned_anew(tmp_path: Path, upstream: Path) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    first = checkout(tagged(upstream, "release/1.0"), workspace, run)
    moved = upstream.rename(tmp_path / "moved")
    assert checkout(tagged(upstream, "release/1.0"), workspace, run) == first
    assert checkout(tagged(moved, "release/1.0"), workspace, run) != first


def test_a_tag_that_is_not_there(tmp_path: Path, upstream: Path) -> None:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    with pytest.raises(CommandError, match=r"first-party\.shop: git cannot fetch tag release/3\.0 of file://"):
        checkout(tagged(upstream, "release/3.0"), workspace, run)
    assert not list((workspace.work / "checkouts").glob("shop-????????????"))


class Packer(Backend):
    """A backend that packs all that it sees, as hatchling does, a PKG-INFO of its own included."""

    def __init__(self) -> None:
        super().__init__({})

    def __call__(self, command: Command) -> Completed:
        if not packs(command):
            return super().__call__(command)
        tree = seen(command)
        self.files = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
        (tree / "shop" / "a.py").write_text("a version")
        done = super().__call__(command)
        into = Path(command.argv[command.argv.index("--out-dir") + 1])
        with tarfile.open(into / "shop-1.0.tar.gz") as archive:
            members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
            with tarfile.open(into / "twice", "w:gz") as twice:
                for member, file in (*members, (tarfile.TarInfo("shop-1.0/PKG-INFO"), None)):
                    twice.addfile(member, file)
        (into / "twice").replace(into / "shop-1.0.tar.gz")
        return done


def test_what_elpack_leaves_in_a_checkout_is_not_packed(workspace: Workspace) -> None:
    for name in (".elpack/x", ".venv/pyvenv.cfg", "dist/el9/x86_64/x.rpm", "dist/app.js", "PKG-INFO", "shop/a.py"):
        path = workspace.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    made = local_source(SHOP, workspace, Packer())
    assert made is not None
    with tarfile.open(made[1]) as archive:
        names = [member.name.removeprefix("shop-1.0/") for member in archive.getmembers()]
        assert archive.getmember("shop-1.0/PKG-INFO").size == 0, "the last one counts"
        assert {member.mtime for member in archive.getmembers()} == {0}
    assert sorted(names) == ["PKG-INFO", "dist/app.js", "pyproject.toml", "shop/a.py"]
    assert (workspace.home / "shop" / "a.py").read_text() == "shop/a.py"


def test_the_same_files_give_the_same_sdist_whoever_packs_them_and_when(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate((("a", "b"), ("b", "a"))):
        path = tmp_path / f"{number}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(f"shop-1.0/{name}")
                member.mtime, member.uid, member.uname, member.mode = number, number, f"u{number}", 0o600 + number
                archive.addfile(member)
        repack(path)
        digests.add(path.read_bytes())
    assert len(digests) == 1


def test_repacked_files_keep_their_content_in_whatever_order_they_lay(tmp_path: Path) -> None:
    files = {name: name.encode() * 1000 for name in ("c", "a", "d/b", "b")}
    sdist = make_sdist(tmp_path / "shop-1.0.tar.gz", files | {"empty": b""})
    repack(sdist)
    with tarfile.open(sdist) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert list(found) == sorted(found)
    assert found == {f"shop-1.0/{name}": content for name, content in (files | {"empty": b""}).items()}


def test_an_sdist_that_is_a_bomb_or_no_archive_is_not_repacked(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "shop-1.0.tar.gz", {"a": bytes(100), "b": bytes(100)})
    before = sdist.read_bytes()
    for limits in (Limits(total=150), Limits(members=1)):
        with pytest.raises(ArchiveError, match="holds more than"):
            repack(sdist, limits)
    assert sdist.read_bytes() == before
    for content in (b"", b"no gzip", before[:-20]):
        sdist.write_bytes(content)
        with pytest.raises(ArchiveError, match="is no gzipped tar archive"):
            repack(sdist)
    assert [path.name for path in tmp_path.iterdir()] == [sdist.name]

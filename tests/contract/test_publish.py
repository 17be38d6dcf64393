"""What is published, to a folder and by rsync: served over http to dnf, all or nothing, found by cached metadata."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import Customer, flip, served
from tests.contract.published import Factory, seen
from tests.signing import make_key, signer_of

from elpack.errors import PublishError
from elpack.steps.publish import Wish, listing, publish, roll_back
from elpack.steps.publish.folder import Folder
from elpack.steps.publish.remote import Remote
from elpack.store.lock import acquire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.steps.publish import Published
    from elpack.steps.sign import Signer

REPOSITORY = Path(__file__).parents[2]
THROWAWAY = "THROWAWAY snapshot key, never trust it <throwaway@elpack.invalid>"


ONLY_FOLDER = pytest.mark.parametrize("site", ["folder"], indirect=True)
ONLY_RSYNC = pytest.mark.parametrize("site", ["rsync"], indirect=True)


@dataclass(frozen=True)
class Keys:
    release: Signer
    expiring: Signer
    throwaway: Signer


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Keys:
    needs("gpg", "rpmsign", "rpmbuild", "createrepo_c", "dnf", "rpmkeys", "rsync")
    home = tmp_path_factory.mktemp("keys")
    own, other = make_key(home / "own"), make_key(home / "other", user=THROWAWAY)
    signer = signer_of(home / "own", own)
    return Keys(signer, replace(signer, metadata_expires=1), signer_of(home / "other", other))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """Return a project whose results are made, so that most tests only copy them."""
    home = tmp_path_factory.mktemp("project")
    for version in ("1", "2", "3"):
        Factory(home, keys.release).make(version)
    shutil.rmtree(home / "dist")
    return home


@pytest.fixture
def factory(tmp_path: Path, ready: Path, keys: Keys) -> Factory:
    shutil.copytree(ready, tmp_path / "project")
    return Factory(tmp_path / "project", keys.release)


@contextmanager
def rsync_daemon(folder: Path, work: Path) -> Iterator[str]:
    """Let an rsync daemon on loopback write to a folder; yield its URL."""
    work.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = work / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nmunge symlinks = no\nnumeric ids = yes\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
        f"pid file = {work}/pid\nlog file = {work}/log\n[shop]\npath = {folder}\nread only = no\n"
    )
    argv = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    daemon = subprocess.Popen(argv)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rsync://127.0.0.1:{port}/shop"
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - a server of the test's own
        return bytes(answer.read())


@dataclass
class Site:
    """A place that is published to, and the web server that serves it."""

    factory: Factory
    folder: Path
    to: str
    url: str
    customers: Path

    def publish(self, version: str, revision: int = 1, **wishes: int) -> Published:
        self.factory.make(version)
        return self.again(revision, **wishes)

    def again(self, revision: int = 1, **wishes: int) -> Published:
        release = self.factory.release(revision, f'[publish]\nurl = "{self.url}"\n')
        return publish(release, self.factory.workspace, Wish(self.to, keep=wishes.get("keep", 0)))

    def roll_back(self, publication: str = "") -> Published:
        return roll_back(self.factory.release(), self.factory.workspace, Wish(self.to), publication)

    def customer(self, name: str, **options: str) -> Customer:
        """Return a machine that takes address and key from the .repo file, as a customer does."""
        text = read(f"{self.url}/current/el9/x86_64/shop.repo").decode()
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        assert (said["gpgcheck"], said["repo_gpgcheck"]) == ("1", "1")
        work = self.customers / name
        work.mkdir(parents=True)
        key = work / "key"
        key.write_bytes(read(said["gpgkey"].replace("$basearch", "x86_64")))
        return Customer(work, said["baseurl"], key, options)


@pytest.fixture(params=["folder", "rsync"])
def site(request: pytest.FixtureRequest, tmp_path: Path, factory: Factory) -> Iterator[Site]:
    folder = tmp_path / "www"
    folder.mkdir()
    with served(folder) as url:
        if request.param == "folder":
            yield Site(factory, folder, str(folder), url, tmp_path / "customers")
        else:
            with rsync_daemon(folder, tmp_path / "daemon") as to:
                yield Site(factory, folder, to, url, tmp_path / "customers")


@pytest.fixture
def local(tmp_path: Path, factory: Factory) -> Site:
    """Return a folder that nobody serves."""
    return Site(factory, tmp_path / "www", str(tmp_path / "www"), "https://shop.example.org", tmp_path / "customers")


def refused(act: Callable[[], object]) -> list[str]:
    with pytest.raises(PublishError) as refusal:
        act()
    return [str(problem) for problem in refusal.value.problems]


@pytest.mark.root
def test_install_update_and_rollback_over_http(site: Site) -> None:
    first = site.publish("1")
    assert (first.new, first.packages) == (True, 2)
    customer = site.customer("one")
    assert customer.dnf("install", "toy").code == 0
    assert customer.installed() == "1"
    site.publish("2")
    assert customer.dnf("update").code == 0
    assert customer.installed() == "2"
    assert site.roll_back().id == first.id
    assert customer.dnf("--refresh", "distro-sync").code == 0
    assert customer.installed() == "1"
    assert [current for _, _, current in listing(site.factory.workspace, site.to)] == [True, False]


@ONLY_FOLDER
@pytest.mark.root
def test_who_read_the_metadata_before_the_flip_still_gets_those_packages(site: Site) -> None:
    site.publish("1")
    early = site.customer("early", metadata_expire="never")
    assert early.dnf("makecache").code == 0
    site.publish("2")
    late = site.customer("late", metadata_expire="never")
    assert late.dnf("makecache").code == 0
    said = early.dnf("install", "toy")
    assert (said.code, early.installed()) == (0, "1"), said.text
    # and the other way round, after a rollback
    site.roll_back()
    said = late.dnf("install", "toy")
    assert (said.code, late.installed()) == (0, "2"), said.text
    # what is there for them alone is in nobody's metadata
    now = site.customer("now")
    said = now.dnf("install", "toy-2")
    assert said.code == 1
    assert "Unable to find a match: toy-2" in said.text


def test_metadata_that_an_earlier_repomd_names_are_there_after_the_flip(site: Site) -> None:
    site.publish("1")
    repodata = site.folder / "current/el9/x86_64/repo/repodata"
    names = {path.name for path in repodata.iterdir()} - {"repomd.xml", "repomd.xml.asc"}
    repomd = (repodata / "repomd.xml").read_text()
    assert names
    assert all(name in repomd for name in names)
    site.publish("2")
    site.publish("3")
    assert names <= {path.name for path in repodata.iterdir()}
    assert not any(name in (repodata / "repomd.xml").read_text() for name in names)


def test_the_same_again_does_nothing(site: Site) -> None:
    first = site.publish("1")
    before = seen(site.folder)
    again = site.again()
    assert (again.id, again.new) == (first.id, False)
    assert seen(site.folder) == before


def test_what_was_damaged_there_is_published_anew(local: Site) -> None:
    first = local.publish("1")
    rpm, key = "el9/x86_64/repo/toy-1-1.noarch.rpm", "el9/x86_64/RPM-GPG-KEY-shop"
    flip(local.folder / "releases" / first.id / rpm, -100)
    (local.folder / "releases" / first.id / key).unlink()
    second = local.again()
    assert second.new
    assert second.id != first.id
    served_now, built = local.folder / "current", local.factory.workspace.dist
    assert (served_now / rpm).read_bytes() == (built / rpm).read_bytes()
    assert (served_now / key).read_bytes() == (built / key).read_bytes()
    assert local.again().new is False


def test_what_was_damaged_there_is_not_carried_on(local: Site) -> None:
    first = local.publish("1")
    flip(local.folder / "releases" / first.id / "el9/x86_64/repo/toy-1-1.noarch.rpm", -100)
    local.publish("2")
    assert [path.name for path in (local.folder / "current/el9/x86_64/repo").glob("*.rpm")] == ["toy-2-1.noarch.rpm"]


def test_older_ones_go_even_if_nothing_else_changes(site: Site) -> None:
    ids = [site.publish(version).id for version in ("1", "2", "3")]
    assert site.publish("3", keep=1).removed == (ids[0],)


def test_a_new_place_can_be_reached_by_a_web_server(local: Site, tmp_path: Path) -> None:
    deep = Site(local.factory, tmp_path / "a/b/www", str(tmp_path / "a/b/www"), local.url, local.customers)
    old = os.umask(0o077)
    try:
        deep.publish("1")
    finally:
        os.umask(old)
    assert [path.stat().st_mode & 0o777 for path in (deep.folder, *deep.folder.parents[:2])] == [0o755] * 3


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("dist/el9/x86_64/logs/www", "within elpack's own folders"),
        (".elpack/www", "within elpack's own folders"),
        ("", "names no place"),
        ("a\nb", "names no place"),
    ],
)
def test_places_that_are_refused(local: Site, monkeypatch: pytest.MonkeyPatch, to: str, why: str) -> None:
    release = local.factory.release()
    local.factory.make("1")
    monkeypatch.chdir(local.factory.home)
    (problem,) = refused(lambda: publish(release, local.factory.workspace, Wish(to)))
    assert why in problem
    assert not (local.factory.home / to / "releases").exists()


def test_a_lock_that_leads_elsewhere_is_not_written_to(local: Site, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    lock = local.folder / ".elpack" / "lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to(precious)
    assert "no regular file" in refused(lambda: local.publish("1"))[0]
    assert precious.read_text() == "of somebody else"
    lock.unlink()
    os.mkfifo(lock)
    assert "no regular file" in refused(lambda: local.publish("1"))[0]


@ONLY_FOLDER
def test_the_same_content_after_a_rollback_becomes_the_current_one_again(site: Site) -> None:
    site.publish("1")
    second = site.publish("2")
    site.roll_back()
    again = site.again()
    assert (again.id, again.new) == (second.id, True)
    assert site.folder.joinpath("current").readlink() == Path(f"releases/{second.id}")


def test_older_ones_go_when_told_so(site: Site) -> None:
    ids = [site.publish(version).id for version in ("1", "2")]
    last = site.publish("3", keep=1)
    assert last.removed == (ids[0],)
    assert sorted(path.name for path in (site.folder / "releases").iterdir()) == [ids[1], last.id]


def test_files_are_readable_for_a_web_server_whatever_the_umask(site: Site) -> None:
    old = os.umask(0o077)
    try:
        site.publish("1")
    finally:
        os.umask(old)
    for path in [*(site.folder / "releases").rglob("*"), site.folder / "releases"]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize(
    ("site", "step"),
    [("folder", "place"), ("folder", "add"), ("folder", "complement"), ("folder", "point"), ("rsync", "add")],
    indirect=["site"],
)
def test_a_failure_leaves_what_was_served(site: Site, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    site.publish("1")
    first = site.publish("2")
    if step == "complement":
        site.roll_back()
    before = (site.folder / "current").readlink(), seen(site.folder / "current")

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for kind in (Folder, Remote):
        monkeypatch.setattr(kind, step, fails)
    with pytest.raises(OSError, match="Input/output error"):
        site.again() if step == "complement" else site.publish("3")
    assert ((site.folder / "current").readlink(), seen(site.folder / "current")) == before
    monkeypatch.undo()
    assert (site.again().id == first.id) is (step == "complement")


KILLED = """\
import os, signal, sys
from pathlib import Path
from elpack.config import parse_release
from elpack.steps.publish import Wish, publish, roll_back
from elpack.steps.publish.folder import Folder
from elpack.steps.publish.remote import Remote
from elpack.workspace import Workspace

home, to, step, when, undo = Path(sys.argv[1]), *sys.argv[2:]

def killed(method):
    def stand_in(*arguments):
        if when == "after":
            method(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    return stand_in

for kind in (Folder, Remote):
    setattr(kind, step, killed(getattr(kind, step)))
release = parse_release((home / "elpack.toml").read_text())
workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
roll_back(release, workspace, Wish(to)) if undo == "undo" else publish(release, workspace, Wish(to, keep=1))
"""


def kill(site: Site, step: str, when: str, undo: str = "") -> None:
    argv = [sys.executable, "-c", KILLED, str(site.factory.home), site.to, step, when, undo]
    assert subprocess.run(argv, check=False, timeout=120).returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("site", "step", "when"),
    [
        *(("folder", "place", "after"), ("folder", "add", "after"), ("folder", "remove", "before")),
        *(("rsync", "add", "before"), ("rsync", "add", "after"), ("rsync", "remove", "before")),
    ],
    indirect=["site"],
)
def test_a_kill_leaves_the_old_one_or_the_new_one(site: Site, step: str, when: str) -> None:
    site.publish("1")
    second = site.publish("2")
    before = seen(site.folder / "current")
    site.factory.make("3")
    kill(site, step, when)
    now = (site.folder / "current").readlink().name
    if step == "remove":
        assert now != second.id
    else:
        assert now == second.id
        assert seen(site.folder / "current") == before
    done = site.again(keep=1)
    assert (site.folder / "current").readlink().name == done.id
    assert (site.folder / "current/el9/x86_64/repo/toy-3-1.noarch.rpm").exists()
    # what the killed one left is gone, for a folder and for this machine's own
    assert not list((site.folder / ".elpack").glob("stage/*"))
    assert {record.id for _, record, _ in listing(site.factory.workspace, site.to)} == {
        path.name for path in (site.folder / "releases").iterdir()
    }


def test_a_kill_in_the_middle_of_the_copy_is_swept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("1")
    # what is there when all but the record has arrived
    (site.folder / ".elpack").mkdir(exist_ok=True)
    half = "20300101T000000Z-shop-9-1-0123456789ab"
    if site.to.startswith("rsync"):
        (site.folder / "releases" / half / "el9").mkdir(parents=True)
        (begun,) = (site.factory.workspace.work / "publish").glob("*/begun")
        (begun / half).write_text("releases")
    else:
        (site.folder / ".elpack" / "stage" / "tmp").mkdir(parents=True)
    site.publish("2")
    assert not (site.folder / "releases" / half).exists()
    assert not (site.folder / ".elpack" / "stage" / "tmp").exists()


def test_two_at_once_exclude_each_other(site: Site) -> None:
    site.publish("1")
    (lock,) = [*site.folder.glob(".elpack/lock"), *site.factory.workspace.work.glob("publish/*/lock")]
    held = acquire(lock)
    try:
        (problem,) = refused(lambda: site.publish("2"))
    finally:
        os.close(held)
    assert "publishes there just now" in problem or "publishes here just now" in problem


def test_somebody_who_flips_meanwhile_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = site.publish("1")
    site.publish("2")
    kind = Remote if site.to.startswith("rsync") else Folder
    add = kind.add

    def meanwhile(self: object, *arguments: object) -> None:
        add(self, *arguments)  # type: ignore[arg-type]
        (site.folder / "current").unlink()
        (site.folder / "current").symlink_to(f"releases/{first.id}")

    monkeypatch.setattr(kind, "add", meanwhile)
    (problem,) = refused(lambda: site.publish("3"))
    assert "somebody else changed it meanwhile" in problem


@ONLY_RSYNC
def test_rsync_that_brings_other_bytes_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from elpack.tools.rsync import Rsync

    put = Rsync.put

    def worse(self: Rsync, source: Path, folder: str, *options: str) -> None:
        put(self, source, folder, *options)
        for path in (site.folder / folder).glob("el9/x86_64/repo/*.rpm"):
            stamp = path.stat()
            flip(path, -100)
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    monkeypatch.setattr(Rsync, "put", worse)
    (problem,) = refused(lambda: site.publish("1"))
    assert "what arrived is not what was sent" in problem
    assert not (site.folder / "current").is_symlink()


def test_rsync_does_not_go_by_size_and_time(tmp_path: Path, needs: Callable[..., None]) -> None:
    from elpack.tools.rsync import Rsync

    needs("rsync")
    source, rsync = tmp_path / "source", Rsync(str(tmp_path / "target"))
    source.mkdir()
    (tmp_path / "target").mkdir()
    for number in ("1", "2"):
        (source / "repomd.xml").write_text(number)
        os.utime(source / "repomd.xml", (1, 1))
        rsync.put(source, number, *(("--link-dest=../1",) if number == "2" else ()))
        assert rsync.differences(source, number) == []
    assert [(tmp_path / "target" / number / "repomd.xml").read_text() for number in "12"] == ["1", "2"]


# refusals


def test_results_that_are_no_release(local: Site, keys: Keys) -> None:
    factory = local.factory
    assert refused(local.again) == [f"{factory.workspace.dist}: there are no results\n  fix: elpack rpm-all makes them"]
    factory.make("1", signed=False)
    assert refused(local.again)[0].startswith("el9/x86_64: it is not signed")
    factory.make("1", signer=keys.throwaway)
    (problem,) = refused(local.again)
    assert problem.startswith("el9/x86_64: a throwaway key signed it")
    shutil.rmtree(factory.workspace.dist)
    factory.make("1", "el9-standin/x86_64")
    (problem,) = refused(local.again)
    assert problem.startswith("el9-standin/x86_64: it is the stand-in's")
    assert not local.folder.exists()


def test_another_key_than_the_release_file_names(local: Site, keys: Keys, tmp_path: Path) -> None:
    another = signer_of(tmp_path / "another", make_key(tmp_path / "another", bits=2048))
    local.factory.make("1", signer=another)
    (problem,) = refused(local.again)
    assert f"{another.key.fingerprint} signed it, not [signing] key = {keys.release.key.fingerprint}" in problem


def test_a_manifest_that_lies_about_its_key(local: Site, keys: Keys) -> None:
    from tests.contract.published import rewritten

    folder = local.factory.make("1", signer=keys.throwaway)
    told = {"fingerprint": keys.release.key.fingerprint, "throwaway": False}
    rewritten(folder / "manifest.json", keys.throwaway, signing=told)
    problems = refused(local.again)
    assert any("is not to be trusted" in problem for problem in problems), problems


def test_snapshots_have_a_row_of_their_own(local: Site, keys: Keys) -> None:
    local.publish("1")
    shutil.rmtree(local.factory.workspace.dist)
    other = replace(local.factory, signer=keys.throwaway)
    other.make("1", "el9-standin/x86_64")
    wish = Wish(local.to, snapshot=True)
    done = publish(other.release(), other.workspace, wish)
    assert (local.folder / "current-snapshot").readlink() == Path(f"snapshots/{done.id}")
    assert (local.folder / "current").readlink().parts[0] == "releases"
    text = (local.folder / "current-snapshot/el9-standin/x86_64/shop.repo").read_text()
    assert "THROWAWAY" in text
    assert f"baseurl={local.folder.as_uri()}/current-snapshot/el9-standin/$basearch/repo\n" in text


def test_results_of_two_versions(local: Site) -> None:
    local.factory.make("1")
    local.factory.make("2", "el9/aarch64")
    (problem,) = refused(local.again)
    assert "the results do not belong together" in problem


def test_all_architectures_and_layouts_go_together(local: Site) -> None:
    for place in ("el9/x86_64", "el9/aarch64", "el9/x86_64/bundle"):
        if place.endswith("bundle"):
            kept = local.factory.workspace.dist / "el9" / "x86_64"
            spare = local.factory.home / "spare"
            kept.rename(spare)
            local.factory.make("1", place)
            (kept / "bundle").rename(spare / "bundle")
            kept.rmdir()
            spare.rename(kept)
        else:
            local.factory.make("1", place)
    done = local.again()
    assert done.packages == 6
    text = (local.folder / "current/el9/x86_64/bundle/shop.repo").read_text()
    assert "baseurl=https://shop.example.org/current/el9/$basearch/bundle/repo\n" in text
    assert "gpgkey=https://shop.example.org/current/el9/$basearch/bundle/RPM-GPG-KEY-shop\n" in text
    assert not list(local.folder.rglob("logs"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("repo/toy-1-1.noarch.rpm", "it is not the file that the manifest lists"),
        ("srpms/toy-1-1.src.rpm", "it is not the file that the manifest lists"),
        ("repo/repodata/*-primary.xml.gz", "it is not the file that the manifest lists"),
        ("manifest.json", "its signature does not count"),
        ("repo/repodata/repomd.xml.asc", "its signature does not count"),
    ],
)
def test_results_that_were_changed_after_they_were_signed(local: Site, name: str, why: str) -> None:
    folder = local.factory.make("1")
    (path,) = folder.glob(name)
    # a digit for another one, so that JSON and armour stay what they are
    data = path.read_bytes()
    if path.suffix == ".json":
        path.write_bytes(data.replace(b'"size": ', b'"size":  ', 1))
    else:
        flip(path, len(data) // 2)
    problems = refused(local.again)
    assert any(why in problem for problem in problems), problems
    assert not (local.folder / "current").is_symlink()
    assert not list((local.folder / ".elpack").glob("stage/*"))


@pytest.mark.parametrize(
    "name",
    [
        *("manifest.json.asc", "repo/repodata/repomd.xml.asc", "repo/toy-1-1.noarch.rpm", "release.json"),
        "RPM-GPG-KEY-shop",
    ],
)
def test_results_that_lack_something(local: Site, name: str) -> None:
    (local.factory.make("1") / name).unlink()
    assert len(refused(local.again)) == 1


def test_an_rpm_that_the_metadata_do_not_name(local: Site) -> None:
    folder = local.factory.make("1")
    shutil.copy(local.factory.built("2")[0], folder / "repo")
    (problem,) = refused(local.again)
    assert problem.startswith("el9/x86_64/repo/toy-2-1.noarch.rpm: the manifest does not list it\n")


def test_foreign_files_and_links_among_the_results(local: Site) -> None:
    folder = local.factory.make("1")
    (folder / "notes.txt").write_text("")
    (folder / "repo" / "more.rpm").symlink_to("/etc/passwd")
    problems = refused(local.again)
    assert [problem.partition("\n")[0] for problem in problems] == [
        "el9/x86_64/notes.txt: the manifest does not list it",
        "el9/x86_64/repo/more.rpm: it is no regular file",
    ]


def test_foreign_files_and_links_at_the_target(site: Site) -> None:
    site.publish("1")
    (site.folder / "index.html").write_text("mine")
    site.factory.make("2")
    (problem,) = refused(site.again)
    assert "index.html: it is not elpack's" in problem
    (site.folder / "index.html").unlink()
    (site.folder / "releases" / "mine").mkdir()
    (problem,) = refused(site.again)
    assert "'mine' is no name of a publication" in problem
    (site.folder / "releases" / "mine").rmdir()
    (site.folder / "current").unlink()
    (site.folder / "current").symlink_to("/etc")
    (problem,) = refused(site.again)
    assert "'/etc' is no name of a publication" in problem
    (site.folder / "current").unlink()
    (site.folder / "snapshots").symlink_to("/etc")
    (problem,) = refused(site.again)
    assert "snapshots: it is a symbolic link" in problem


@ONLY_FOLDER
def test_another_release_at_the_target(site: Site) -> None:
    site.publish("1")
    for record in site.folder.glob("releases/*/published.json"):
        record.write_text(record.read_text().replace('"release": "shop"', '"release": "other"'))
    (problem,) = refused(lambda: site.publish("2"))
    assert "publications of other lie there" in problem


def test_another_content_under_the_same_name(local: Site) -> None:
    local.publish("1")
    shutil.rmtree(local.factory.home / "built" / "toy-1")
    shutil.rmtree(local.factory.home / "made" / "1")
    from tests.contract import customer

    folder = local.factory.home / "other"
    path = customer.toy(folder, "1")
    assert path.exists()
    spec = (folder / "toy-1" / "toy.spec").read_text().replace("Summary: A toy", "Summary: Another toy")
    (folder / "toy-1" / "toy.spec").write_text(spec)
    again = folder / "again"
    again.mkdir()
    options = ("--define", f"_topdir {again}", "--define", f"_rpmdir {again}", "--define", f"_srcrpmdir {again}")
    customer.tool(
        "rpmbuild",
        "-ba",
        "--quiet",
        *options,
        "--define",
        "_build_name_fmt %{NVRA}.rpm",
        folder / "toy-1" / "toy.spec",
        home=folder,
    )
    (local.factory.home / "built" / "toy-1").mkdir()
    for file in again.glob("*.rpm"):
        shutil.copy(file, local.factory.home / "built" / "toy-1")
    problems = refused(lambda: local.publish("1"))
    assert ["raise [release] revision" in problem for problem in problems] == [True]
    assert "another content of this name" in problems[0]


# rollback


@ONLY_FOLDER
def test_rollback_of_nothing_and_to_nothing(site: Site) -> None:
    site.factory.release()
    assert "no publication before the current one" in refused(site.roll_back)[0]
    first = site.publish("1")
    assert "no publication before the current one" in refused(site.roll_back)[0]
    assert "is no name of a publication" in refused(lambda: site.roll_back("../.."))[0]
    assert "there is no" in refused(lambda: site.roll_back(first.id.replace("2", "3", 1)))[0]
    assert site.roll_back(first.id).new is False


def test_rollback_to_what_was_tampered_with(site: Site) -> None:
    first = site.publish("1")
    second = site.publish("2")
    flip(site.folder / "releases" / first.id / "el9/x86_64/repo/toy-1-1.noarch.rpm", -100)
    (problem,) = refused(site.roll_back)
    assert "it is not what it was" in problem
    assert (site.folder / "current").readlink().name == second.id


def test_rollback_to_what_lacks_a_file(site: Site) -> None:
    first = site.publish("1")
    second = site.publish("2")
    (site.folder / "releases" / first.id / "el9/x86_64/repo/toy-1-1.noarch.rpm").unlink()
    (problem,) = refused(site.roll_back)
    assert "toy-1-1.noarch.rpm: it" in problem
    assert (site.folder / "current").readlink().name == second.id


def test_rollback_to_what_a_customer_would_refuse(local: Site, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    first = local.publish("1")
    local.publish("2")
    # the signature of then is not there any more: as if it had expired
    folder = local.folder / "releases" / first.id
    record = folder / "published.json"
    asc = folder / "el9/x86_64/repo/repodata/repomd.xml.asc"
    import hashlib
    import json

    data = json.loads(record.read_text())
    asc.write_bytes((local.folder / "current/el9/x86_64/repo/repodata/repomd.xml.asc").read_bytes())
    data["files"]["el9/x86_64/repo/repodata/repomd.xml.asc"] = {
        "size": asc.stat().st_size,
        "sha256": hashlib.sha256(asc.read_bytes()).hexdigest(),
    }
    record.write_text(json.dumps(data))
    (problem,) = refused(local.roll_back)
    assert "its signature does not count" in problem


# the command


def elpack(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "elpack", "publish", site.to, "--file", str(site.factory.home / "elpack.toml")]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run([*argv, *arguments], capture_output=True, text=True, check=False, env=env)


def test_the_command(local: Site) -> None:
    local.factory.release()
    (local.factory.home / "pylock.build.toml").write_text("")
    local.factory.make("1")
    done = elpack(local)
    assert done.returncode == 0, done.stderr
    assert "2 RPMs verified" in done.stdout
    assert "nothing to do" in elpack(local).stdout
    local.factory.make("2")
    assert elpack(local).returncode == 0
    assert [line[0] for line in elpack(local, "--list").stdout.splitlines()] == [" ", "*"]
    assert elpack(local, "--rollback").returncode == 0
    assert [line[0] for line in elpack(local, "--list").stdout.splitlines()] == ["*", " "]
    done = elpack(local, "--rollback")
    assert done.returncode == 29
    assert "there is no publication before the current one" in done.stderr
    done = elpack(local, "--id", "20261123T070135Z-shop-1.4-1-0f3a9c51d2be")
    assert (done.returncode, "--id belongs to --rollback" in done.stderr) == (2, True)
    assert tempfile.gettempdir() not in done.stdout

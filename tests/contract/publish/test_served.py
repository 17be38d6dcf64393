"""What is published, served over http to dnf: all of it, found by cached metadata, and gone when told so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.contract.customer import flip
from tests.contract.publish.site import (
    ONLY_FOLDER,
    Site,
    refused,
)
from tests.contract.published import seen

from elpack.steps.publish import Wish, listing, publish


@pytest.mark.root
def test_install_update_and_rollback_over_http(site: Site) -> None:
    first = site.publish("1")
    assert (first.new, first.packages) == (True, 2)
    customer = site.customer("one")
    assert customer.dnf("install", "toy").code == 0
    assert customer.installed() == "1"
    site.publish("2")
    said = customer.dnf("update")
    assert (said.code, customer.installed()) == (0, "2"), said.text
    assert site.roll_back().id == first.id
    assert customer.dnf("distro-sync").code == 0
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

"""What is not published, and why."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.customer import flip
from tests.contract.publish.site import (
    ONLY_FOLDER,
    Keys,
    Site,
    refused,
)
from tests.signing import make_key, signer_of

from elpack.steps.publish import Wish, publish


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

"""Back to an earlier publication, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tests.contract.customer import flip
from tests.contract.publish.site import (
    ONLY_FOLDER,
    Keys,
    Site,
    refused,
)

if TYPE_CHECKING:
    import pytest


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

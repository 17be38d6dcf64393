"""Keys, results and places for all tests of publishing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.contract.customer import served
from tests.contract.publish.site import (
    THROWAWAY,
    Keys,
    Site,
    rsync_daemon,
)
from tests.contract.published import Factory
from tests.signing import make_key, signer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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

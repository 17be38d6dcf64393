"""scripts/refresh-shipped with the real dnf, on repositories of tiny RPMs, in folders and behind loopback."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.rpmtools import REPOSITORY

from elpack.targets.shipped import parse_shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# repository, RPM, version, and what it provides
RPMS = (
    ("baseos", "bash", "5.1", ()),
    ("appstream", "python3.12-cffi", "1.15.1", ("python3.12dist(cffi) = 1.15.1",)),
    ("appstream", "python3.12-cffi", "1.16.0", ("python3.12dist(cffi) = 1.16",)),
    ("appstream", "python3.11-cffi", "1.15.1", ("python3.11dist(cffi) = 1.15.1", "python3dist(cffi) = 1.15.1")),
    ("appstream", "ansible-core", "2.16.14", ("python3.12dist(ansible-core) = 2.16.14",)),
    ("appstream", "python3.12-requests", "2.28.2", ("python3.12dist(requests) = 2.28.2",)),
    ("appstream", "python3.12-requests+socks", "2.28.2", ("python3.12dist(requests[socks]) = 2.28.2",)),
    ("crb", "python3.12-Cython", "0.29.35", ("python3.12dist(cython) = 0.29.35",)),
    ("epel", "python3.12-cffi-epel", "2.0.0", ("python3.12dist(cffi) = 2",)),
    ("epel", "python3.12-dateutil", "2.9.0", ("python3.12dist(python-dateutil) = 2.9^post0",)),
    ("epel", "python3.12-ruamel", "0.18", ("python3.12dist(ruamel.yaml) = 0.18~rc1", "python3.12dist(ruamel-yaml)")),
    ("epel", "python3.12-odd", "1", ("python3.12dist(odd) = 1.git+sha",)),
)
TIMES = {"baseos": 1_700_000_000, "appstream": 1_792_800_000, "crb": 1_700_000_000, "epel": 1_782_864_000}
REFRESH = (sys.executable, str(REPOSITORY / "scripts" / "refresh-shipped"), "el9")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Path:
    """Return a folder with the four repositories, as real tools make them."""
    needs("rpmbuild", "createrepo_c", "dnf")
    folder = tmp_path_factory.mktemp("repositories")
    for number, (repository, name, version, provides) in enumerate(RPMS):
        spec = folder / f"{number}.spec"
        spec.write_text(
            f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n"
            + "".join(f"Provides: {offer}\n" for offer in provides)
            + "%description\nd\n%files\n"
        )
        defines = ("--define", f"_topdir {folder}/top", "--define", f"_rpmdir {folder / repository}")
        subprocess.run(("rpmbuild", "-bb", *defines, str(spec)), check=True, capture_output=True)
    for repository, time in TIMES.items():
        options = ("--quiet", "--revision", str(time), "--set-timestamp-to-revision")
        subprocess.run(("createrepo_c", *options, str(folder / repository)), check=True)
    return folder


@pytest.fixture(scope="module")
def address(repositories: Path) -> Iterator[str]:
    """Serve the folder on loopback."""
    handler = functools.partial(Quiet, directory=str(repositories))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


def refresh(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = (*REFRESH, *options, "--output", str(output))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(output: Path, prefix: str) -> str:
    done = refresh(output, *(f"{name}={prefix}/{name}" for name in TIMES))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{output}: as of 2026-10-24, 1 for Python 3.11, 7 for Python 3.12\n"
    return output.read_text()


def test_the_file_holds_what_the_repositories_provide(repositories: Path, tmp_path: Path) -> None:
    data = parse_shipped("new.toml", written(tmp_path / "new.toml", str(repositories)))
    assert data.date == dt.date(2026, 10, 24)  # the newest metadata's
    assert set(data.repositories) == set(TIMES)
    assert set(data.enabled) == {"baseos", "appstream", "crb"}
    found = {one.dist: (one.rpm, one.repository, one.version) for one in data.dists["3.12"].values()}
    assert found == {
        "ansible-core": ("ansible-core", "appstream", Version("2.16.14")),
        "cffi": ("python3.12-cffi", "appstream", Version("1.16.0")),  # not EPEL's newer one, and not the older RPM
        "cython": ("python3.12-Cython", "crb", Version("0.29.35")),
        "odd": ("python3.12-odd", "epel", None),
        "python-dateutil": ("python3.12-dateutil", "epel", Version("2.9.0.post0")),
        "requests": ("python3.12-requests", "appstream", Version("2.28.2")),
        "ruamel-yaml": ("python3.12-ruamel", "epel", Version("0.18rc1")),
    }
    assert [one.rpm for one in data.dists["3.11"].values()] == ["python3.11-cffi"]


def test_the_same_metadata_gives_the_same_bytes(repositories: Path, address: str, tmp_path: Path) -> None:
    behind_http = written(tmp_path / "http.toml", address)
    assert behind_http == written(tmp_path / "folder.toml", str(repositories))
    assert "127.0.0.1" not in behind_http


def test_none_that_the_data_covers_may_be_forgotten(tmp_path: Path) -> None:
    done = refresh(tmp_path / "new.toml", "baseos=/nowhere")
    assert (done.returncode, done.stderr) == (
        10,
        "refresh-shipped: repository epel is not given\n  fix: add epel=URL\n",
    )
    assert not (tmp_path / "new.toml").exists()


def test_a_repository_that_cannot_be_read(repositories: Path, address: str, tmp_path: Path) -> None:
    given = [f"{name}={repositories / name}" for name in TIMES if name != "epel"]
    done = refresh(tmp_path / "new.toml", *given, f"epel={address}/none")
    assert done.returncode == 13
    assert "a repository cannot be read" in done.stderr
    assert not (tmp_path / "new.toml").exists()


def test_hostile_names_are_refused(repositories: Path, tmp_path: Path) -> None:
    spec = tmp_path / "evil.spec"
    spec.write_text(
        "Name: evil\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n"
        'Provides: python3.12dist(x"\\n)\n%description\nd\n%files\n'
    )
    defines = ("--define", f"_topdir {tmp_path}/top", "--define", f"_rpmdir {tmp_path}/epel")
    subprocess.run(("rpmbuild", "-bb", *defines, str(spec)), check=True, capture_output=True)
    subprocess.run(("createrepo_c", "--quiet", str(tmp_path / "epel")), check=True)
    given = [f"{name}={repositories / name}" for name in TIMES if name != "epel"]
    done = refresh(tmp_path / "new.toml", *given, f"epel={tmp_path}/epel")
    assert done.returncode == 20
    assert "is not a valid name of a Python distribution" in done.stderr

"""What many tests share: tools that must be there in CI, targets, and the real WAMP sdists, fetched once."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from elpack.builders.emulation import MACHINE, emulation
from elpack.model import ARCHES, Target

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / ".elpack" / "test-cache"

_PYPI = "https://files.pythonhosted.org/packages"
WAMP_SDISTS = {
    "txaio": (
        f"{_PYPI}/49/de/52729cab9d2c8de679ad015e87f11f69e092d6fb3084eb9a39735df09ce7/txaio-26.6.1.tar.gz",
        "3ee900b2331c93457530fddbccc1a320c4e2d7ac8f9073d01c3fbe87762ccb35",
    ),
    "autobahn": (
        f"{_PYPI}/e5/84/8ea0607facb3c97a3beae3c767213fc716f9ab2f157570dc5aeba1174730/autobahn-26.10.2.tar.gz",
        "6c69fca89106567060941c5568e67a5369738813d883db4e3d62b76f0a2c497e",
    ),
    "zlmdb": (
        f"{_PYPI}/b3/37/62a2c31750f880eb5cab7b9d3d1a963230605dead9432fb437ac4d1d1141/zlmdb-26.10.1.tar.gz",
        "b23a7c86a3016fda2bfe0f1e87ea9db759953778f90356315d0f3290e4636135",
    ),
    "cfxdb": (
        f"{_PYPI}/db/c9/8287298ec91f04a64425fbc8dfa6757ffcb49981d0bf7884bdec88c2341e/cfxdb-26.6.1.tar.gz",
        "1c8e93813a8a7568ac8a72f42ddfaeb6f83ecaefec032fb0c2f5f684a00ce7bf",
    ),
    "xbr": (
        f"{_PYPI}/5e/fc/6182f107a11eee47df5b33a42518a304cd880acc156a9e13c9586bded5e6/xbr-26.10.1.tar.gz",
        "931dc3aeeab2fddb06ccc17df5081e01adf52f613309a3b7509a8b5d09ef77ab",
    ),
    "crossbar": (
        f"{_PYPI}/42/73/e3b8b00c031fb6894ae3ec7376ce1b80983633e50ccfdc6cda77eb03d5b1/crossbar-26.10.1.tar.gz",
        "b43a83b2c20757d3053979cb68cd058bd484684bc39cd6be9803719d2dae1f02",
    ),
}

# A busy machine is no defect: no example has a time limit
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") == "true" else "busy")


_FIRST = (
    "integration/test_rpm_all.py",
    "hostile/test_builds.py",
    "integration/test_system.py",
    "faults/test_kills.py",
    "integration/test_universe.py",
    "integration/test_standin.py",
    "integration/test_bad_input.py",
    "faults/test_index.py",
    "integration/test_airgap.py",
    "integration/test_images.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the main job, let the second worker do what needs no release meanwhile, and end with short files."""
    places = {REPOSITORY / "tests" / name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the marker `root` keep its word: skipped for an ordinary user on a laptop, failed in CI."""
    if item.get_closest_marker("root") and os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs root")


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """Return a function that skips the test on a laptop which lacks a tool, and fails it in CI: no green by absence."""

    def check(*tools: str) -> None:
        missing = [tool for tool in tools if shutil.which(tool) is None]
        if missing and os.environ.get("CI") == "true":
            pytest.fail(f"not installed: {', '.join(missing)}")
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")

    return check


@pytest.fixture(scope="session")
def emulated() -> str:
    """Return the architecture that this machine emulates; skip or fail the test as `needs` does where it does not."""
    other = next(arch for arch in ARCHES if arch != MACHINE)
    found = emulation(other)
    if not found.works:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{found.obstacle}: {found.fix}")
    return other


def _target(python: str, arch: str) -> Target:
    """Return EL9 without reading the data files of the program under test."""
    return Target(
        name="el9",
        el=9,
        python=python,
        arch=arch,
        dist_tag=".el9",
        glibc=(2, 34),
        interpreter=f"/usr/bin/python{python}",
        python_rpm=f"python{python}",
        devel_rpm=f"python{python}-devel",
        standin=False,
        title="RHEL 9",
        buildroot=(),
        root=(),
    )


_EL9 = [_target(python, arch) for python in ("3.12", "3.11") for arch in ("x86_64", "aarch64")]


@pytest.fixture
def make_target() -> Callable[[str, str], Target]:
    """Return a function that makes an EL9 target of a Python version and an architecture."""
    return _target


@pytest.fixture(scope="session")
def el9_targets() -> list[Target]:
    """Return every EL9 target; the first is Python 3.12 on x86_64."""
    return _EL9


@pytest.fixture(params=_EL9, ids=str)
def el9_target(request: pytest.FixtureRequest) -> Target:
    """Return each EL9 target in turn."""
    target: Target = request.param
    return target


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of committed test data."""
    return Path(__file__).parent / "data"


def _cached_download(url: str, sha256: str) -> Path:
    """Return the file, from the test cache if it is there with this digest, else from the network."""
    path = CACHE / url.rpartition("/")[2]
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(url, timeout=120) as response:  # noqa: S310 - the URLs are constants of the tests
        content = response.read()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        pytest.fail(f"{url} has sha256 {found}, expected {sha256}")
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
    return path


@pytest.fixture(scope="session")
def wamp_sdists() -> dict[str, Path]:
    """Return the six WAMP sdists by name, with the very bytes that crossbar's lock pins."""
    return {name: _cached_download(url, sha256) for name, (url, sha256) in WAMP_SDISTS.items()}

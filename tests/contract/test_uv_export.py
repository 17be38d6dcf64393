"""The selection is what `uv export` selects, on several locks, for every EL9 target."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from elpack.errors import LockError
from elpack.lockfile import parse_uv_lock
from elpack.naming import dist_name
from elpack.selection import select

if TYPE_CHECKING:
    from elpack.model import Target

LOCKS = Path(__file__).parents[1] / "data" / "locks"
CASES = [
    ("web", "web-shop", ()),
    ("web", "web-shop", ("postgres",)),
    ("web", "web-shop", ("monitoring",)),
    ("web", "web-shop", ("monitoring", "postgres", "tracing")),
    ("conflicts", "two-minds", ()),
    ("conflicts", "two-minds", ("old",)),
    ("conflicts", "two-minds", ("new",)),
    ("conflicts", "two-minds", ("extra-tools", "new")),
    ("forks", "fork-in-the-road", ()),
    ("sources", "from-elsewhere", ()),
]


def exported(project: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what uv export prints, with nothing of the user's own configuration in its way."""
    command = [uv.find_uv_bin(), "export", "--frozen", "--offline", "--no-config", "--no-python-downloads"]
    command += ["--no-dev", "--no-default-groups", "--no-emit-project", "--no-emit-workspace"]
    command += ["--no-hashes", "--no-header", "--no-annotate", "--project", str(project), *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def uv_selection(text: str, target: Target) -> set[str]:
    """Return ``name==version`` of every exported requirement whose marker holds on the target."""
    requirements = [Requirement(line) for line in text.splitlines()]
    environment = target.marker_environment()
    return {
        f"{canonicalize_name(requirement.name)}{requirement.specifier}"
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


def own_selection(path: Path, root: str, extras: tuple[str, ...], target: Target) -> set[str]:
    lock = parse_uv_lock(path.read_text(), path.name)
    names = frozenset(map(dist_name, extras))
    dists = select(lock, dist_name(root), target, names).dists
    return {f"{dist.name}=={dist.version}" for dist in dists if dist.name != root}


@pytest.fixture(scope="module")
def crossbar(wamp_sdists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of crossbar's own project file and lock."""
    folder = tmp_path_factory.mktemp("crossbar")
    with tarfile.open(wamp_sdists["crossbar"]) as archive:
        for member in archive.getmembers():
            if member.name.count("/") == 1 and member.name.endswith(("/uv.lock", "/pyproject.toml")):
                content = archive.extractfile(member)
                assert content is not None
                (folder / member.name.rpartition("/")[2]).write_bytes(content.read())
    return folder


def test_crossbar(crossbar: Path, tmp_path: Path, el9_target: Target) -> None:
    result = exported(crossbar, tmp_path)
    assert result.returncode == 0, result.stderr

    selected = own_selection(crossbar / "uv.lock", "crossbar", (), el9_target)

    assert selected == uv_selection(result.stdout, el9_target)
    assert len(selected) == 141


@pytest.mark.parametrize("extra", ["dev", "docs"])
def test_crossbar_with_its_extras(crossbar: Path, tmp_path: Path, extra: str, el9_targets: list[Target]) -> None:
    result = exported(crossbar, tmp_path, "--extra", extra)
    assert result.returncode == 0, result.stderr

    for target in el9_targets:
        selected = own_selection(crossbar / "uv.lock", "crossbar", (extra,), target)
        assert selected == uv_selection(result.stdout, target)
        assert len(selected) > 141


@pytest.mark.parametrize(("name", "root", "extras"), CASES)
def test_made_locks(tmp_path: Path, name: str, root: str, extras: tuple[str, ...], el9_targets: list[Target]) -> None:
    result = exported(LOCKS / name, tmp_path, *(word for extra in extras for word in ("--extra", extra)))
    assert result.returncode == 0, result.stderr
    assert result.stdout

    for target in el9_targets:
        selected = own_selection(LOCKS / name / "uv.lock", root, extras, target)
        assert selected == uv_selection(result.stdout, target), target


def test_forks_differ_by_target(el9_targets: list[Target]) -> None:
    path = LOCKS / "forks" / "uv.lock"
    selections = {str(target): own_selection(path, "fork-in-the-road", (), target) for target in el9_targets}

    assert len({frozenset(selected) for selected in selections.values()}) == 4


def test_both_refuse_extras_that_conflict(tmp_path: Path, el9_targets: list[Target]) -> None:
    project = LOCKS / "conflicts"
    result = exported(project, tmp_path, "--extra", "old", "--extra", "new")
    assert result.returncode != 0
    assert "incompatible with the declared conflicts" in result.stderr

    with pytest.raises(LockError, match=r"two-minds\[new\] and two-minds\[old\] conflict"):
        own_selection(project / "uv.lock", "two-minds", ("old", "new"), el9_targets[0])


def test_a_workspace_with_its_members_as_first_party(tmp_path: Path, el9_targets: list[Target]) -> None:
    project = LOCKS / "workspace"
    result = exported(project, tmp_path, "--package", "shop-api")
    assert result.returncode == 0, result.stderr
    lock = parse_uv_lock((project / "uv.lock").read_text(), "uv.lock")
    root, core = dist_name("shop-api"), dist_name("shop-core")

    for target in el9_targets:
        selection = select(lock, root, target, root_version=Version("3.1.4"), first_party=frozenset({core}))
        selected = {f"{dist.name}=={dist.version}" for dist in selection.dists if dist.name not in (root, core)}
        assert selected == uv_selection(result.stdout, target)
        assert selection.by_name()[core].extras == {"fast"}


def test_extras_that_a_dependency_asks_for_decide_conflicts(tmp_path: Path, el9_targets: list[Target]) -> None:
    project = LOCKS / "deep-conflicts"
    result = exported(project, tmp_path)
    assert result.returncode == 0, result.stderr
    lock = parse_uv_lock((project / "uv.lock").read_text(), "uv.lock")
    root, engine = dist_name("deep-app"), dist_name("engine")

    for target in el9_targets:
        selection = select(lock, root, target, first_party=frozenset({engine}))
        selected = {f"{dist.name}=={dist.version}" for dist in selection.dists if dist.name not in (root, engine)}
        assert selected == uv_selection(result.stdout, target) == {"jinja2==3.1.6", "markupsafe==2.0.1"}

    with pytest.raises(LockError, match=r"engine\[cpu\] and engine\[gpu\] conflict"):
        select(lock, root, el9_targets[0], frozenset({dist_name("fast")}), first_party=frozenset({engine}))

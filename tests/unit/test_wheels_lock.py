from __future__ import annotations

from pathlib import Path

import pytest

from elpack.config import parse_release
from elpack.errors import BuildLockError
from elpack.steps.wheels.files import texts_of
from elpack.steps.wheels.lock import LOCK, locked_files
from elpack.workspace import Workspace

ROOT = Path(__file__).parents[2]
RELEASE = parse_release((ROOT / "elpack.toml").read_text())
REQUIRES = (
    "cffi>=1.15.1",
    "cffi>=2.0.0",
    "hatchling",
    "patch-ng>=1.18.0; sys_platform == 'win32'",
    "setuptools",
    "setuptools>=70.0.0",
    "wheel",
)


def workspace(home: Path) -> Workspace:
    return Workspace(home / "elpack.toml", home / ".elpack", home / "dist")


def test_the_committed_lock_serves_every_place_of_the_matrix() -> None:
    wheels = RELEASE.wheels
    assert wheels is not None
    files = locked_files(wheels, REQUIRES, workspace(ROOT))
    assert set(files) == {(one.tag, arch) for one in wheels.interpreters for arch in wheels.arches}
    for (tag, arch), found in files.items():
        names = {file.filename for file in found}
        assert any(name.startswith("hatchling-") for name in names)
        (cffi,) = (name for name in names if name.startswith("cffi-"))
        assert cffi.endswith(".tar.gz") if tag == "pp311" else f"-{tag}-" in cffi and arch in cffi


def test_the_committed_configurations_are_those_of_the_release() -> None:
    texts = texts_of(RELEASE, ("autobahn", "zlmdb"))  # type: ignore[arg-type]
    committed = {path.relative_to(ROOT / "wheels").as_posix(): path for path in (ROOT / "wheels").glob("*/*.toml")}
    assert {name: path.read_text() for name, path in committed.items()} == texts


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (None, "there is no lock"),
        (lambda text: text.replace("[[packages]]", "[[package"), "line"),
        (lambda text: text.replace("digest = ", 'digest = "0" # '), "made for other requirements"),
        (lambda text: text.replace("https://", "http://"), "http"),
        (lambda text: text.replace("sha256 = ", "md5 = "), "sha256"),
    ],
)
def test_a_lock_that_cannot_be_trusted_is_refused(tmp_path: Path, change: object, what: str) -> None:
    if callable(change):
        (tmp_path / LOCK).write_text(change((ROOT / LOCK).read_text()))
    assert RELEASE.wheels is not None
    with pytest.raises(BuildLockError, match=what) as caught:
        locked_files(RELEASE.wheels, REQUIRES, workspace(tmp_path))
    assert all(problem.fix == "elpack lock" for problem in caught.value.problems)

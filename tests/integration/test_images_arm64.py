"""The images of the real release for both architectures, made on one machine: tried, put together, pulled."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.images.newer import newer_tools
from tests.contract.images.real import pulled_under_policy
from tests.contract.images.registry import NEEDED
from tests.integration.test_either_side import session_in
from tests.integration.test_images import STEM, STEPS
from tests.integration.wamp import PROJECT, STANDIN, TOOLS, elpack, in_root

from elpack.builders.roots import Roots, live_copy
from elpack.errors import ImageError
from elpack.run import run
from elpack.steps.images.archive import Archive
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.arm64, pytest.mark.root]

DIST = PROJECT / "dist" / "el9-standin"
FLAVOURS = ("uv", "rpm")
COMPILE = "import finish_tree, pathlib; finish_tree.compile_all(pathlib.Path('/opt'), frozenset(), {})"
MODULES = "attrs-*.whl", "automat-*.whl", "jinja2-*.whl", "werkzeug-*.whl"


@pytest.fixture(scope="module")
def both(needs: Callable[..., None], emulated: str) -> dict[str, Any]:
    """Make the images of both architectures, and return what `--json` says of them."""
    assert emulated
    needs("podman", *TOOLS)
    done = elpack("image", "build", *STANDIN, "--arch", "all", "--way", "cross", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return dict(json.loads(done.stdout))


def archive(arch: str, flavour: str) -> Archive:
    return Archive(DIST / arch / f"images/{STEM}-{flavour}.oci.tar")


def test_one_index_leads_to_the_images_of_both(both: dict[str, Any]) -> None:
    assert [one["tag"].rpartition("-")[2] for one in both["joined"]] == ["rpm", "uv"]
    for one in both["joined"]:
        flavour = one["tag"].rpartition("-")[2]
        single = {arch: archive(arch, flavour).images[0].descriptor for arch in ("x86_64", "aarch64")}
        assert one["platforms"] == {str(found.platform): found.digest for found in single.values()}
        assert Archive(PROJECT / "dist" / one["path"]).digest == one["index"]
    done = elpack("verify", "--target", "el9-standin")
    assert done.returncode == 0, done.stderr


def test_an_image_does_what_its_user_wants_emulated(both: dict[str, Any], emulated: str) -> None:
    assert both
    done = elpack("image", "smoke", "--target", "el9-standin", "--arch", emulated, "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    for report in json.loads(done.stdout):
        assert [step["name"] for step in report["steps"]] == STEPS
        assert report["emulated"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_platform_is_pulled_under_the_policy(
    both: dict[str, Any], needs: Callable[..., None], tmp_path: Path, flavour: str
) -> None:
    assert both
    needs(*NEEDED)
    archives = [archive(arch, flavour).path for arch in ("x86_64", "aarch64")]
    settings = pulled_under_policy(newer_tools(needs), tmp_path, archives, f"26.10.1-1.el9s-{flavour}")
    assert (settings["User"], settings["Entrypoint"]) == ("1000:1000", ["crossbar"])


def test_bytecode_is_the_same_on_every_architecture(needs: Callable[..., None], emulated: str, tmp_path: Path) -> None:
    needs(*TOOLS)
    session = session_in(tmp_path / "project", emulated)
    assert session.home is not None
    wheels = [path for form in MODULES for path in session.workspace.downloads.glob(form)]
    assert len(wheels) == len(MODULES)
    found = []
    for side in (session.home, session):
        target, work = side.target, tmp_path / side.target.arch
        dnf = Dnf(side.base.repositories, target.arch, str(target.el), work / "dnf", ImageError, run)
        with live_copy(Roots(dnf, (target.python_rpm,), work, run).base(), work, run) as root:
            for path in wheels:
                shutil.unpack_archive(path, root.path / "opt", "zip")
            program = resources.files("elpack.assets") / "finish_tree.py"
            (root.path / "srv").mkdir(exist_ok=True)
            (root.path / "srv/finish_tree.py").write_text(program.read_text())
            environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": "/srv"}
            in_root(root.path, target.interpreter, "-S", "-c", COMPILE, env=environment)
            made = {path.relative_to(root.path): path.read_bytes() for path in (root.path / "opt").rglob("*.pyc")}
            found.append({str(path): hashlib.sha256(content).hexdigest() for path, content in made.items()})
    assert len(found[0]) > 100
    assert found[0] == found[1]
